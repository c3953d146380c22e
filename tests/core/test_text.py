from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import EmptyInput, InputTooLong, InvalidInput
from core.text import MAX_INPUT_CHARACTERS, accept, scrub, storable

ANY = st.text(st.characters(codec=None))
SURROGATES = {chr(code) for code in range(0xD800, 0xE000)}


@given(st.text(min_size=1).filter(lambda text: text.strip() and "\x00" not in text))
def test_text_is_accepted_unchanged(text: str) -> None:
    """What can be stored and is not empty comes back as it was."""
    assert accept(text) == text


@pytest.mark.parametrize("text", ["", " ", "\n\t\u00a0\u2003"])
def test_white_space_is_empty(text: str) -> None:
    """White space of any kind is an empty message."""
    with pytest.raises(EmptyInput, match="The title is empty"):
        accept(text, what="title")


def test_the_limit_is_inclusive() -> None:
    """32 000 characters are accepted, one more is not, and the error says both numbers."""
    assert len(accept("x" * MAX_INPUT_CHARACTERS)) == MAX_INPUT_CHARACTERS
    with pytest.raises(InputTooLong, match="32001 characters; the limit is 32000"):
        accept("x" * (MAX_INPUT_CHARACTERS + 1))


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "a\udc80b"])
def test_what_postgres_cannot_store_is_refused(text: str) -> None:
    """NUL and lone surrogates are the caller's mistake."""
    with pytest.raises(InvalidInput):
        accept(text)


@given(ANY)
def test_scrubbed_text_can_be_stored(text: str) -> None:
    """What cannot be stored becomes U+FFFD; no other character is changed, lost or added."""
    result = scrub(text)
    assert storable(result) == result
    assert len(result) == len(text)
    assert all(new in (old, "\ufffd") for new, old in zip(result, text, strict=True))
    assert result.count("\ufffd") == sum(c in "\x00\ufffd" or c in SURROGATES for c in text)


@given(st.text())
def test_good_text_is_not_scrubbed(text: str) -> None:
    """Text that can be stored stays as it is."""
    assert scrub(text) == text.replace("\x00", "\ufffd")
