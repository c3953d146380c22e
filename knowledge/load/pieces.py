"""The text of a PDF page with its place: pieces of lines, and lines drawn; by PDFium."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.text import scrub

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage  # type: ignore[import-untyped]  # has no stubs

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points; y grows upwards."""

WIDE_GAP = 1.2  # heights of a line; text set to both margins has spaces up to 1
MAX_DRAWN = 3000  # objects; a page with more is a drawing
MIN_RULE = 15.0  # points; shorter lines are dashes and parts of letters
MAX_RULE_WIDTH = 2.5
WORD = re.compile(r"\S+")
SPLIT_WORD = re.compile("(\\w)\ufffe(\\w?)")  # PDFium's mark for a hyphen at the end of a line
LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st"}
DROPPED = {0xAD: None, 0x200B: None, 0x0D: " ", **LIGATURES}


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that stands together on one line, or a table that stands in its place."""

    text: str
    box: Box
    line: int  # its number in the order of the file
    rows: tuple[tuple[str, ...], ...] = ()  # of a table

    @property
    def middle(self) -> float:
        """The height of its middle on the page."""
        return (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, slots=True)
class Page:
    """What is on a page."""

    pieces: list[Piece]
    flat: bool  # the places are not to be trusted: the page is turned, or its text is
    grid: bool = False  # lines cross on it as those of tables do
    rules: tuple[Box, ...] = ()  # horizontal lines, highest first


def page_of(page: PdfPage) -> Page:
    """Return what is on a page; raises RuntimeError (PdfiumError) for a damaged one."""
    text = page.get_textpage()
    try:
        # Characters beyond 16 bits are two for PDFium; then its numbers are not ours.
        content = text.get_text_range()
        flat = page.get_rotation() != 0 or len(content) != text.count_chars()
        flat = flat or page.get_mediabox()[:2] != (0, 0)
        pieces = list(_pieces(text, content, flat))
    finally:
        text.close()
    if flat:
        return Page(pieces, flat=True)
    grid, rules = _drawn(page)
    return Page(pieces, flat=False, grid=grid, rules=rules)


def clean(text: str) -> str:
    """Return text as it was meant: words whole, ligatures as letters."""

    def whole(match: re.Match[str]) -> str:
        # A word goes on in small letters; what goes on otherwise had its hyphen before.
        return match[1] + ("" if match[2].islower() else "-") + match[2]

    return scrub(SPLIT_WORD.sub(whole, text.translate(DROPPED)).replace("\ufffe", "-"))


def _pieces(text: PdfTextPage, content: str, flat: bool) -> Iterator[Piece]:
    start = 0
    for number, line in enumerate(content.split("\r\n")):
        if line.strip():
            if flat:
                yield Piece(clean(line).rstrip(), (0, 0, 0, 0), number)
            else:
                yield from _parted(text, line, start, number)
        start += len(line) + 2


def _parted(text: PdfTextPage, line: str, start: int, number: int) -> Iterator[Piece]:
    """Yield a line, parted where wide gaps are.

    PDFium has a box for each stretch of one font, and for each character; where words end, the
    boxes of two characters tell the gap, which is five times faster than looking at them all.
    """
    if not text.count_rects(start, len(line)):
        yield Piece(clean(line).rstrip(), (0, 0, 0, 0), number)
        return
    # A word that was cut at the end of the line brings the next line along.
    end = line.find("\ufffe") if "\ufffe" in line else len(line)
    groups: list[tuple[int, list[float]]] = []  # where a piece begins, and its box
    for match in WORD.finditer(line, 0, end):
        left, bottom, _, top = text.get_charbox(start + match.start())
        right = text.get_charbox(start + match.end() - 1)[2]
        box = groups[-1][1] if groups else [left, *text.get_rect(0)[1:]]
        gap = left - box[2] if groups else 0.0
        if not groups or not -5 < gap < WIDE_GAP * max(box[3] - box[1], top - bottom):
            if groups:
                box = [left, bottom, right, top]
            groups.append((match.start() if groups else 0, box))
        box[1:] = [min(box[1], bottom), right, max(box[3], top)]
    for index, (begin, box) in enumerate(groups):
        stop = groups[index + 1][0] if index + 1 < len(groups) else None
        left, bottom, right, top = box
        yield Piece(clean(line[begin:stop]).rstrip(), (left, bottom, right, top), number)


def _drawn(page: PdfPage) -> tuple[bool, tuple[Box, ...]]:
    """Return whether lines are drawn in both directions, and the horizontal ones."""
    from pypdfium2 import raw

    horizontal: list[Box] = []
    vertical = 0
    values = [ctypes.c_float() for _ in range(4)]
    for count, drawn in enumerate(page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH], max_depth=3)):
        if count == MAX_DRAWN:
            return False, ()
        if not raw.FPDFPageObj_GetBounds(drawn.raw, *values):
            continue
        left, bottom, right, top = (value.value for value in values)
        wide, high = right - left >= MIN_RULE, top - bottom >= MIN_RULE / 2
        if wide and high:  # a frame, or a whole grid in one path
            horizontal += [(left, bottom, right, bottom), (left, top, right, top)]
            vertical += 2
        elif wide and top - bottom <= MAX_RULE_WIDTH:
            horizontal.append((left, bottom, right, top))
        elif high and right - left <= MAX_RULE_WIDTH:
            vertical += 1
    horizontal.sort(key=lambda box: -box[1])
    return vertical > 1 and len(horizontal) > 1, tuple(horizontal)
