"""Headings, what stands below them, and tables: from the order of a page to the parts it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.text import scrub
from knowledge.load.document import Part, has_text, name
from knowledge.load.rows import is_table, table

Heading = tuple[int, str]
"""Level, from 1, and text."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text below some headings, or a table there."""

    headings: list[Heading]  # those that are open
    text: str
    table: bool = False


class Outline:
    """Collects headings, paragraphs and tables in the order of a document."""

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self._headings: list[Heading] = []
        self._blocks: list[str] = []

    def heading(self, level: int, text: str) -> None:
        """Open a heading; what follows stands below it."""
        self._end()
        open_heading(self._headings, level, text)

    def block(self, text: str) -> None:
        """Add a paragraph; one without text is nothing. Items of a list follow each other."""
        if has_text(text):
            self._blocks.append(text)

    def table(self, rows: Sequence[Sequence[str]], *, header: bool) -> None:
        """Add a table; one that only lays a page out becomes paragraphs."""
        text = table(rows, header=header)
        if not is_table(rows):
            self.block(text)
            return
        if self._blocks:
            self._end()
        self._stretches.append(Stretch(list(self._headings), text, table=True))

    def finish(self) -> list[Stretch]:
        """Return everything in order."""
        self._end()
        return self._stretches

    @property
    def first_heading(self) -> str:
        """The first heading of all, once finished; "" when there is none."""
        return next((s.headings[0][1] for s in self._stretches if s.headings), "")

    def _end(self) -> None:
        text = ""
        for block in self._blocks:
            in_list = block.startswith("- ") and text.rpartition("\n")[2].startswith("- ")
            text += ("\n" if in_list else "\n\n" if text else "") + block
        self._blocks.clear()
        self._stretches.append(Stretch(list(self._headings), text))


def open_heading(headings: list[Heading], level: int, text: str) -> None:
    """Add a heading to the open ones; it closes those of its own level and below."""
    while headings and headings[-1][0] >= level:
        headings.pop()
    headings.append((level, name(text)))


def sectioned(stretches: list[Stretch], title: str) -> tuple[Part, ...]:
    """Return a part for each stretch with text; no heading's words are lost.

    A heading with nothing below it becomes the text of a part, unless the title says the same.
    """
    parts = []
    around = [None, *(stretch.headings for stretch in stretches), None]
    for index, stretch in enumerate(stretches):
        section = section_path(stretch.headings, title)
        before, following = around[index], around[index + 2] or []
        if has_text(stretch.text):
            text, table = scrub(stretch.text), stretch.table
            parts.append(Part(text, section, records=table, table=table))
        elif (
            section
            and before != stretch.headings
            and following[: len(stretch.headings)] != stretch.headings
        ):
            parts.append(Part(stretch.headings[-1][1], section))
    if not parts:
        parts = [Part(stretch.headings[-1][1]) for stretch in stretches if stretch.headings][:1]
    return tuple(parts)


def section_path(headings: list[Heading], title: str) -> str:
    """Return open headings as one path; the document's own title is no section."""
    texts = [text for _, text in headings if text]
    if texts and title and texts[0].casefold() == title.casefold():
        texts = texts[1:]
    return " > ".join(texts)
