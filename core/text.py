"""Text as it may enter the house: no NUL, no lone surrogate, not empty, not endless."""

from __future__ import annotations

import re

from core.errors import EmptyInput, InputTooLong, InvalidInput

MAX_INPUT_CHARACTERS = 32_000  # requirement F1

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def accept(text: str, *, what: str = "message", limit: int = MAX_INPUT_CHARACTERS) -> str:
    """Return `text` unchanged when it can be stored and processed.

    Raises EmptyInput, InputTooLong (over `limit` characters) or InvalidInput.
    Postgres can store neither NUL nor lone surrogates; refusing them here keeps
    half-stored turns from ever existing.
    """
    if len(text) > limit:
        raise InputTooLong(f"The {what} has {len(text)} characters; the limit is {limit}.")
    if not text.strip():
        raise EmptyInput(f"The {what} is empty.")
    return storable(text, what=what)


def storable(text: str, *, what: str = "text") -> str:
    """Return `text` when Postgres can store it; raises InvalidInput otherwise."""
    if "\x00" in text:
        raise InvalidInput(f"The {what} contains a NUL character.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"The {what} contains a lone surrogate, which is not text.") from error
    return text


def scrub(text: str) -> str:
    """Return `text` with what Postgres cannot store replaced by U+FFFD.

    For text that we did not receive from a caller (a model's answer, a document):
    one bad character there must not lose the rest.
    """
    return _UNSTORABLE.sub("\ufffd", text)
