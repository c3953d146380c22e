"""The gate between the model's stream and the user."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodes.gate import QUOTE_CHARACTERS, AnswerGate, Stretch, quote
from tests.nodes.passages import passage

SOURCES = [passage(1), passage(2)]
PIECES = st.sampled_from(
    [
        "Water boils",
        " at 100",
        ".",
        " [1]",
        "[2]",
        " ",
        "\n",
        "[9]",
        "Yes",
        "?",
        " [",
        "1",
        "]",
        "e.g. ",
    ]
)


def texts(stretches: list[Stretch]) -> list[str]:
    return [stretch.text for stretch in stretches]


def run(chunks: list[str], *, must_cite: bool = True) -> AnswerGate:
    gate = AnswerGate(SOURCES, must_cite=must_cite)
    for chunk in chunks:
        for stretch in gate.feed(chunk):
            gate.release(stretch, stretch.text)
    for stretch in gate.finish():
        gate.release(stretch, stretch.text)
    return gate


def test_nothing_leaves_before_the_first_citation() -> None:
    """A sentence without a source waits until one has come."""
    gate = AnswerGate(SOURCES, must_cite=True)
    assert gate.feed("I believe so. It is hot. ") == []
    assert texts(gate.feed("Water boils at 100 degrees [1]. And ")) == [
        "I believe so. ",
        "It is hot. ",
        "Water boils at 100 degrees [1]. ",
    ]


def test_an_answer_without_any_citation_never_leaves() -> None:
    """Without support there is nothing to take back."""
    gate = run(["Water boils ", "at 100 degrees. ", "Surely."])
    assert gate.released == ""
    assert gate.citations == []


def test_small_talk_leaves_without_citation() -> None:
    """Who need not cite may speak."""
    assert run(["Hello! ", "How are you?"], must_cite=False).released == "Hello! How are you?"


def test_a_marker_that_names_no_source_is_never_shown() -> None:
    """[9] is removed when there are two sources, and does not count as support."""
    assert run(["Hot [9]. Boils [2]."]).released == "Hot. Boils [2]."
    assert run(["Hot [9]."]).released == ""
    assert run(["Hot [0]."]).released == ""


def test_a_marker_behind_the_full_stop_belongs_to_its_sentence() -> None:
    """ "It boils. [1] Next" is cut behind the marker."""
    gate = AnswerGate(SOURCES, must_cite=True)
    assert gate.feed("It boils. ") == []
    assert texts(gate.feed("[1] Next")) == ["It boils. [1] "]


def test_an_index_in_code_is_no_citation() -> None:
    """What stands in backticks or between fences is left as it is and supports nothing."""
    code = "Take `argv[1]`:\n```python\nx[0] = y[1]\nz = x[9]\n```\n"
    assert run([code]).released == ""
    answer = run([code + "Done [2] `a[7]`."])
    assert answer.released == code + "Done [2] `a[7]`."
    assert [citation["marker"] for citation in answer.citations] == [2]


def test_each_source_is_cited_once_with_its_passage() -> None:
    """Citations come in the order of their first use and name the passage behind the number."""
    citations = run(["A [2]. B [1]. C [2]."]).citations
    assert [(c["marker"], c["chunk_id"]) for c in citations] == [(2, 1002), (1, 1001)]
    assert citations[0]["quote"] == "Water boils at 100 degrees."


def test_a_key_block_is_judged_whole() -> None:
    """Lines of a private key do not leave one by one."""
    gate = AnswerGate(SOURCES, must_cite=False)
    assert gate.feed("Here:\n-----BEGIN PRIVATE KEY-----\nabc\ndef\n") == []
    out = gate.feed("-----END PRIVATE KEY-----\nDone") + gate.finish()
    assert "".join(texts(out)).count("-----BEGIN") == 1


@given(st.lists(PIECES, max_size=40), st.data())
def test_chunking_does_not_change_the_answer(pieces: list[str], data: st.DataObject) -> None:
    """However the stream is cut, the same text leaves with the same citations."""
    whole = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    one, many = run([whole]), run(chunks)
    assert many.released == one.released
    assert many.citations == one.citations


@given(st.lists(PIECES, max_size=40))
def test_without_the_duty_to_cite_no_text_is_lost(pieces: list[str]) -> None:
    """Everything but stray markers and trailing blanks comes out."""
    whole = "".join(pieces)
    released = run([whole], must_cite=False).released
    kept = "".join(c for c in released if c.isalpha())
    assert kept == "".join(c for c in whole if c.isalpha())


def test_a_quote_is_the_sentence_that_is_meant() -> None:
    """A citation quotes the sentence that shares most with what was said, cut where long."""
    steam = "Steam is hot, " + "and it rises, " * 30 + "it does."
    text = f"Water is wet. Ice melts at 0 degrees.\n{steam}"
    assert quote(text, "The melting point of ice is 0 degrees [1].") == "Ice melts at 0 degrees."
    long = quote(text, "Steam is hot [1].")
    assert long.startswith("Steam is hot")
    assert long.endswith("…")
    assert len(long) == QUOTE_CHARACTERS
    assert quote("Wasser ist nass.", "Nothing alike") == "Wasser ist nass."
