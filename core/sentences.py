"""Cuts a passage into what can be quoted alone: sentences, list items, table rows, code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

LONGEST_ABBREVIATION = 24  # characters looked at before a stop


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


Kind = Literal["sentence", "item", "row", "code", "heading"]

_LINE = re.compile(r"[^\n]*\n?")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_HEADING = re.compile(r"[ ]{0,3}#{1,6}[ \t]+\S")
_UNDERLINE = re.compile(r"[ ]{0,3}(=+|-{2,})[ \t]*$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣▪]|\d{1,3}[.)])[ \t]+(?=\S)")
_ROW = re.compile(r"[ \t]*\|")
_RULE = re.compile(r"[-|:*_ \t]+$")  # ---, * * *, |---|:-:|
_INDENTED = re.compile(r"(?: {4}|\t)[ \t]*\S")

# A stop, what may close a quotation behind it, reference marks such as [12], then white space.
# Every repetition is bounded, so that no text takes more than linear time.
_STOP = re.compile(
    r"""[.!?…]{1,6}["'”’»)\]]{0,4}(?:\[\d{1,3}\]){0,6}(?=\s)|[。！？]+[”’」』）]*""",
)
_LAST_WORD = re.compile(r"""[^\s("'“‘\[]+$""")
_OPENING = re.compile(r"""\s*["'“‘«(\[]*""")
# These never end a sentence ...
_TITLES = _listed(
    "mr mrs ms dr prof rev fr st sen rep gov gen col maj capt lt sgt hon pres mt ft fig figs eq "
    "no nos vol ed eds pp p art ch sec approx ca cf vs v al viz resp e.g i.e z.b d.h bzw"
)
# ... and these do only before a word that likes to begin one.
_PERHAPS = _listed(
    "inc ltd co corp bros jr sr etc u.s u.k u.n e.u d.c a.m p.m a.d b.c ph.d m.d b.a m.a jan feb "
    "mar apr jun jul aug sept sep oct nov dec mon tue wed thu fri sat sun est min max dept univ "
    "assn ave blvd rd"
)
_OPENERS = _listed(
    "a after although an and as at because both but by during each every for from he her his how "
    "however i if in it its many most no on once one other our out several she since so some such "
    "that the their there these they this those through thus to two under until upon we when where "
    "which while who with you"
)


class Segment(NamedTuple):
    """A stretch of the text that stands alone: text[start:stop]."""

    start: int
    stop: int
    kind: Kind


def split(text: str) -> list[Segment]:
    """Return the segments of `text` in order; they do not overlap and none is blank.

    A fenced or indented code block stays whole, a list item or table row is never
    joined with its neighbours, and headings are told apart from sentences.
    """
    return [segment for segment in _blocks(text) if text[segment.start : segment.stop].strip()]


def _blocks(text: str) -> Iterator[Segment]:
    lines = [(match.start(), match.end()) for match in _LINE.finditer(text) if match.group()]
    at, blank_before = 0, True
    while at < len(lines):
        start, stop = lines[at]
        line = text[start:stop].rstrip("\n")
        at += 1
        if not line.strip():
            blank_before = True
            continue
        if fence := _FENCE.match(line):
            at = _until_fence(text, lines, at, fence.group(1))
            yield _trimmed(text, start, lines[at - 1][1], "code")
        elif _HEADING.match(line):
            yield _trimmed(text, start, stop, "heading")
        elif _RULE.match(line):
            pass
        elif _ROW.match(line):
            yield _trimmed(text, start, stop, "row")
        elif item := _ITEM.match(line):
            at = _paragraph(text, lines, at)
            yield from _sentences(text, start + item.end(), lines[at - 1][1], "item")
        elif blank_before and _INDENTED.match(line):
            at = _while_indented(text, lines, at)
            yield _trimmed(text, start, lines[at - 1][1], "code")
        elif at < len(lines) and _UNDERLINE.match(text[slice(*lines[at])].rstrip("\n")):
            at += 1
            yield _trimmed(text, start, stop, "heading")
        else:
            at = _paragraph(text, lines, at)
            yield from _sentences(text, start, lines[at - 1][1], "sentence")
        blank_before = False


def _until_fence(text: str, lines: list[tuple[int, int]], at: int, fence: str) -> int:
    while at < len(lines):
        line = text[slice(*lines[at])].strip()
        at += 1
        if line.startswith(fence) and not line.strip(fence[0]):
            break
    return at


def _while_indented(text: str, lines: list[tuple[int, int]], at: int) -> int:
    end = at
    while at < len(lines):
        line = text[slice(*lines[at])].rstrip("\n")
        at += 1
        if _INDENTED.match(line):
            end = at
        elif line.strip():
            break
    return end


def _paragraph(text: str, lines: list[tuple[int, int]], at: int) -> int:
    """Return the index of the first line that no longer belongs to the paragraph."""
    while at < len(lines):
        line = text[slice(*lines[at])].rstrip("\n")
        if not line.strip() or any(
            pattern.match(line) for pattern in (_FENCE, _HEADING, _ITEM, _ROW, _RULE)
        ):
            break
        at += 1
    return at


def _sentences(text: str, start: int, stop: int, kind: Kind) -> Iterator[Segment]:
    for match in _STOP.finditer(text, start, stop):
        if _ends_sentence(text, start, match, stop):
            yield _trimmed(text, start, match.end(), kind)
            start = match.end()
    yield _trimmed(text, start, stop, kind)


def _ends_sentence(text: str, start: int, match: re.Match[str], stop: int) -> bool:
    mark = match.group()
    if mark[0] in "。！？":
        return True
    opening = _OPENING.match(text, match.end(), stop)
    following = text[opening.end() if opening else match.end() : stop]
    if not following or following[0].islower():
        return not following
    if mark[0] != "." or len(mark.rstrip("\"'”’»)]")) > 1:
        return True  # "!", "?" and "..." before a capital
    word = _LAST_WORD.search(text, max(start, match.start() - LONGEST_ABBREVIATION), match.start())
    if word is None:
        return True
    before = word.group().casefold()
    if word.start() == start and before.isdigit():
        return False  # "1. First"
    next_word = re.match(r"[^\W\d_]+", following)
    opener = next_word is not None and next_word.group().casefold() in _OPENERS
    if before in _TITLES:
        # "No. 5" but "He said no. Then"; "p. 3"
        return before in {"no", "p", "v", "ed", "art"} and not following[0].isdigit() and opener
    if before in _PERHAPS or re.fullmatch(r"[^\W\d_](?:\.[^\W\d_])*", before):
        return opener and len(before) > 1  # initials: "J. R. R. Tolkien"
    return True


def _trimmed(text: str, start: int, stop: int, kind: Kind) -> Segment:
    while start < stop and text[start] in " \t\n\r\f\v" and kind != "code":
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    return Segment(start, stop, kind)
