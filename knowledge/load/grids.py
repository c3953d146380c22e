"""The tables that lines are drawn around in a PDF, cell by cell; by pdfplumber."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress

from knowledge.load.pieces import Box
from knowledge.load.rows import is_table

Grid = tuple[Box, list[list[str]]]
"""Where it stands, in points with y growing upwards, and its rows."""

MAX_PAGES = 200  # with lines that cross, of one document: 5 to 20 take a second


def grids(data: bytes, pages: Sequence[int]) -> dict[int, list[Grid]]:
    """Return the tables of some pages, by their index; of at most MAX_PAGES of them.

    A page that pdfplumber cannot read has none: its text was read without it.
    """
    import pdfplumber

    found: dict[int, list[Grid]] = {}
    wanted = [index + 1 for index in pages[:MAX_PAGES]]
    if not wanted:
        return found
    with pdfplumber.open(io.BytesIO(data), pages=wanted) as document:
        for page in document.pages:
            with suppress(Exception):  # it raises anything for what PDFium forgives
                found[page.page_number - 1] = list(_grids(page))
            page.close()
    return found


def _grids(page: object) -> Iterator[Grid]:
    for table in page.find_tables():  # type: ignore[attr-defined]  # has no stubs
        rows = [[cell or "" for cell in row] for row in table.extract()]
        left, top, right, bottom = table.bbox
        if is_table(rows):
            yield (left, page.height - bottom, right, page.height - top), rows  # type: ignore[attr-defined]
