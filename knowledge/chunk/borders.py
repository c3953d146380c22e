"""Where a text may be cut, and how good a place that is."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

# How good a place is for a cut: the ranks of the borders in a text.
ANYWHERE, WORD, LINE, SENTENCE, PARAGRAPH = range(5)

Span = tuple[int, int]
"""[start, stop) in characters."""

PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
LONG_LINE = re.compile(r"[^\n]{160}\n\s*")  # nobody wraps lines so wide: it is a paragraph
ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•|]|\d+[.)])[ \t])")
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?![a-zà-öø-ÿ])|[。！？]+[”’」』）]*\s*")
ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|Rev|Gen|St|Jr|Sr|No|Nr|vs|etc|cf|e\.g|i\.e|Fig|Vol|pp?|ca))\.$"
)
SPACES = re.compile(r"\s+")
FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$\n?|\Z)", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Border:
    """A place between two words."""

    at: int  # a cut here leaves the white space in front of it
    rank: int


def fences(text: str) -> list[Span]:
    """Return the blocks of code in a text."""
    return [match.span() for match in FENCED.finditer(text)]


def borders(text: str, whole: Sequence[Span]) -> list[Border]:
    """Return every place between two words, with its rank, in order.

    whole: what should not be torn: a border inside is a line's end at best.
    """
    ranks = {m.end(): LINE if "\n" in m[0] else WORD for m in SPACES.finditer(text)}
    for match in SENTENCE_END.finditer(text):
        if not ABBREVIATION.search(text, max(0, match.start() - 8), match.start() + 1):
            ranks[match.end()] = SENTENCE
    for match in ITEM.finditer(text):
        ranks[match.end()] = SENTENCE
    for match in LONG_LINE.finditer(text):
        ranks[match.end()] = PARAGRAPH
    for match in PARAGRAPH_END.finditer(text):
        ranks[match.end()] = PARAGRAPH
    places = sorted(ranks)
    for start, stop in whole:
        for at in places[bisect_right(places, start) : bisect_left(places, stop)]:
            ranks[at] = min(ranks[at], LINE)
    for start, stop in whole:
        ranks[start] = ranks[stop] = PARAGRAPH
    return [Border(at, rank) for at, rank in sorted(ranks.items()) if 0 < at <= len(text)]
