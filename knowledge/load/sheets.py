"""XLSX: the tables of each sheet, each row naming its columns; by openpyxl, row by row."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from core.errors import DocumentTooLarge, DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, name
from knowledge.load.properties import properties
from knowledge.load.rows import is_table, table

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_CELLS = 1_000_000  # with a value, in all sheets: 100 MB of text and half a minute
MAX_MERGED = 100_000  # cells that merged cells cover
GROUP_ROWS = 1000  # in one part
MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s+ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
MERGED_BYTES = 64  # longer than such an element
BLOCK_BYTES = 1 << 20
PERCENT_DIGITS = 15  # beyond them a number shows how it was computed

YEAR = re.compile(r"(?:19|20)\d\d")
VALUE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?%?|\d{4}-\d\d-\d\d(?: \d\d:\d\d)?")

Rows = list[list[str]]


def load(path: Path, data: bytes, *, max_cells: int = MAX_CELLS) -> Document:
    """Return the tables of the visible sheets, section = the sheet's name.

    Formulas read as the values that were last computed. A row without values ends a table; a
    single cell above one is its caption. data: an archive that `archive.members` let pass.
    max_cells: with a value, in all sheets.
    Raises DocumentTooLarge or DocumentUnreadable.
    """
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    known = properties(data)
    parts: list[Part] = []
    hidden: list[str] = []
    left = max_cells
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that are not read
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            for sheet in book.worksheets:
                if sheet.sheet_state != "visible":
                    hidden.append(name(sheet.title))  # who opens the file does not see it
                    continue
                for rows, cells in _tables(sheet, left):
                    left -= cells
                    parts.extend(_parts(rows, name(sheet.title)))
            count = len(book.worksheets)
    except (
        InvalidFileException,
        zipfile.BadZipFile,
        SyntaxError,  # ElementTree's ParseError is one
        *(KeyError, ValueError, AttributeError, TypeError, IndexError, EOFError, OSError),
    ) as error:
        raise DocumentUnreadable(f"It is not a whole workbook: {error}") from error
    return Document(
        title=known.title or name(path.stem),
        media_type=MEDIA_TYPE,
        parts=tuple(parts),
        bytes=len(data),
        author=known.author,
        language=known.language,
        created=known.created,
        modified=known.modified,
        metadata={"sheets": count} | ({"hidden_sheets": hidden} if hidden else {}),
    )


def _tables(sheet: Any, limit: int) -> Iterator[tuple[Rows, int]]:
    """Yield what stands between empty rows, and how many cells of it have a value."""
    # A sheet may claim a million columns; without the claim a row ends with its last cell.
    sheet.reset_dimensions()
    merged = _merged(sheet)
    above: dict[tuple[int, int], str] = {}  # values of merged cells, by their first cell
    rows: Rows = []
    cells = 0
    for number, row in enumerate(sheet.iter_rows(), 1):
        texts = [_shown(cell) for cell in row]
        cells += sum(map(bool, texts))
        if merged:
            _fill(texts, number, merged, above)
        if cells > limit:
            raise DocumentTooLarge("It has too many cells to read; save it as CSV.")
        if any(texts):
            rows.append(texts)
        elif rows:
            yield rows, cells
            rows, cells = [], 0
    if rows:
        yield rows, cells


def _fill(
    texts: list[str],
    row: int,
    merged: dict[tuple[int, int], tuple[int, int]],
    above: dict[tuple[int, int], str],
) -> None:
    """Put the values of merged cells where they stand for more: below, and beside others.

    A caption over the whole width stays one cell.
    """
    beside = sum(map(bool, texts)) > 1
    for column in range(1, len(texts) + 1):
        first = merged.get((row, column))
        if first is not None:
            value = above.setdefault(first, texts[column - 1])
            if beside or column == first[1]:
                texts[column - 1] = value


def _parts(rows: Rows, section: str) -> Iterator[Part]:
    """Yield a table in groups of rows, its captions in front; what is no table, as text."""
    captions = []
    while len(rows) > 1 and sum(map(bool, rows[0])) == 1 and sum(map(bool, rows[1])) > 0:
        captions.append(next(filter(None, rows.pop(0))))
    if captions and len(rows) == 1 and sum(map(bool, rows[0])) == 1:
        captions.append(next(filter(None, rows.pop())))
    text = scrub("\n".join(captions))
    if not is_table(rows):
        text = "\n\n".join(filter(None, [text, scrub(table(rows, header=False))]))
        yield Part(text, section)
        return
    if captions:
        section = f"{section} > {name(captions[-1])}"
        if len(captions) > 1:
            yield Part(text, section)
    header = sum(map(bool, rows[0])) > 1 and not any(map(_is_value, rows[0]))
    if header:
        paragraphs = scrub(table(rows, header=True)).split("\n\n")
    else:
        paragraphs = [scrub(" | ".join(filter(None, row))) for row in rows]
    for first in range(0, len(paragraphs), GROUP_ROWS):
        group = "\n\n".join(paragraphs[first : first + GROUP_ROWS])
        yield Part(group, section, records=True, table=True)


def _shown(cell: Any) -> str:
    """Return what a cell shows, near enough: dates as ISO 8601, percent as such."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date | time | timedelta):
        return str(value)
    if isinstance(value, int | float):
        percent = "%" in (cell.number_format or "")
        return f"{value * 100:.10g}%" if percent else f"{value:.{PERCENT_DIGITS}g}"
    return " ".join(str(value).split())


def _is_value(text: str) -> bool:
    """True for what names no column: numbers, unless they may be years, and dates."""
    if YEAR.fullmatch(text):
        return False
    return VALUE.fullmatch(text) is not None


def _merged(sheet: Any) -> dict[tuple[int, int], tuple[int, int]]:
    """Return, for each cell that a merged one covers, the cell that holds its value.

    openpyxl leaves these out when it reads row by row, and reads all at once otherwise.
    """
    covered: dict[tuple[int, int], tuple[int, int]] = {}
    rest = b""
    with sheet.parent._archive.open(sheet._worksheet_path) as source:
        while block := source.read(BLOCK_BYTES):
            rest += block
            for found in MERGED.finditer(rest):
                left, top, right, bottom = _corners(found[1])
                if len(covered) + (right - left + 1) * (bottom - top + 1) > MAX_MERGED:
                    return covered
                for row in range(top, bottom + 1):
                    for column in range(left, right + 1):
                        covered[row, column] = (top, left)
            rest = rest[-MERGED_BYTES:]
    return covered


def _corners(reference: bytes) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a range such as A1:C3."""
    from openpyxl.utils.cell import coordinate_to_tuple

    first, _, last = reference.decode().partition(":")
    (top, left), (bottom, right) = coordinate_to_tuple(first), coordinate_to_tuple(last)
    return left, top, right, bottom
