"""Cutting an answer into tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tgi.scripted import ScriptedModel
from tgi.embedded.model import TokenSpan
from tgi.embedded.pieces import END, Generated, cut, split

MODEL = ScriptedModel()


def _cut(text: str, *, max_tokens: int = 100, stop: tuple[str, ...] = ()) -> Generated:
    return cut(text, MODEL.tokens(text), max_tokens=max_tokens, stop=stop)


@given(st.text())
def test_pieces_make_the_text(text: str) -> None:
    """Joined, the pieces are the text, whatever it is."""
    assert "".join(piece.text for piece in split(text, MODEL.tokens(text))) == text


@given(st.text(), st.integers(1, 20), st.lists(st.text(min_size=1, max_size=3), max_size=3))
def test_a_cut_answer_is_the_beginning(text: str, limit: int, stop: list[str]) -> None:
    """Whatever ends it, an answer is the beginning of the text and within the limit."""
    generated = cut(text, MODEL.tokens(text), max_tokens=limit, stop=stop)
    assert text.startswith(generated.text)
    assert len(generated.pieces) <= limit
    said = "".join(piece.text for piece in generated.pieces if not piece.special)
    assert said == generated.text


def test_the_end_token_counts() -> None:
    """An answer that ends by itself has one more token, which says nothing."""
    generated = _cut("So it is.")
    assert generated.finish == "eos_token"
    assert [piece.text for piece in generated.pieces[:-1]] == ["So", " it", " is", "."]
    assert generated.pieces[-1] == END


def test_the_limit_exactly_is_length() -> None:
    """An answer as long as the limit has no room for its end token."""
    assert _cut("So it is.", max_tokens=4).finish == "length"
    assert _cut("So it is.", max_tokens=5).finish == "eos_token"


def test_a_stop_sequence_stays_in_the_text() -> None:
    """The earliest stop sequence ends the text, and is its end."""
    generated = _cut("one two three", stop=("three", "wo"))
    assert (generated.text, generated.finish) == ("one two", "stop_sequence")


def test_the_model_may_stop_early() -> None:
    """A model that ran into its limit itself gives no end token."""
    generated = cut("one two", MODEL.tokens("one two"), max_tokens=9, cut_short=True)
    assert (generated.finish, len(generated.pieces)) == ("length", 2)


def test_several_tokens_of_one_character() -> None:
    """Tokens that share a character are one piece: half a character cannot be sent."""
    spans = [TokenSpan(1, "h", 0, 1), TokenSpan(7, "?", 1, 2), TokenSpan(8, "?", 1, 2)]
    assert [piece.text for piece in split("hé", spans)] == ["h", "é"]
