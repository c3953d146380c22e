"""Cuts what strangers wrote into what can be an instruction of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from core.sentences import split

Kind = Literal["document", "tool_result"]

LONGEST = 600  # characters of a piece; what is longer is looked at in windows
_STRUCTURED = re.compile(r"\s*[{\[]")
# A quoted value, up to a quote that something structural follows. A quote inside it may look
# like its end; then the rest is a piece of its own.
_VALUE = re.compile(
    r"""(?<=[\s:\[{(,])(?P<quote>["'])(?P<value>(?:\\.|(?!(?P=quote)\s{0,3}[,}\]:)]).){1,8000})(?P=quote)""",
    re.DOTALL,
)
# A line that begins like a sentence is taken for one, though the line before has no full stop.
_NEW_LINE = re.compile(r"\n(?=\s{0,40}[^\W\d_a-zß-öø-ÿ])")
_LETTERS = re.compile(r"[^\W\d_]")


class Piece(NamedTuple):
    """text[start:stop]."""

    start: int
    stop: int


def pieces(text: str, kind: Kind) -> list[Piece]:
    """Return sentences, list items, rows, headings and code blocks, in order, without blank ones.

    Of a tool result that is JSON, or prints like it, the values are cut; keys are left out.
    """
    if kind == "tool_result" and _STRUCTURED.match(text):
        found = list(_values(text))
        if found:
            return found
    return list(_sentences(text, 0))


def _values(text: str) -> Iterator[Piece]:
    for match in _VALUE.finditer(text):
        start, stop = match.span("value")
        if text[match.end() : match.end() + 4].lstrip().startswith(":"):
            continue  # a key
        yield from _sentences(text[start:stop], start)


def _sentences(text: str, shift: int) -> Iterator[Piece]:
    for segment in split(text):
        ends = [match.start() for match in _NEW_LINE.finditer(text, segment.start, segment.stop)]
        start = segment.start
        for stop in (*(ends if segment.kind != "code" else ()), segment.stop):
            if _LETTERS.search(text, start, stop):
                for begin in range(start, stop, LONGEST):
                    yield Piece(shift + begin, shift + min(begin + LONGEST, stop))
            start = stop
