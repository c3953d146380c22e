"""PDF: pages in reading order, tables as tables, sections from the bookmarks; by PDFium."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DocumentEmpty, DocumentEncrypted, DocumentUnreadable
from knowledge.load.dates import pdf_moment
from knowledge.load.document import Document, Part, has_text, name
from knowledge.load.furniture import continued, without_furniture
from knowledge.load.grids import Grid, grids
from knowledge.load.layout import lines, ruled, runs, with_table
from knowledge.load.outline import Heading, open_heading, section_path
from knowledge.load.pieces import Page, Piece, page_of
from knowledge.load.rows import table

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument  # type: ignore[import-untyped]  # has no stubs

HEADER_BYTES = 1024  # where readers look for the mark of a PDF
END_BYTES = 4096  # where its end is announced; cut files have none, and PDFium would guess
HYPHENATED = re.compile(r"(?<=[a-zà-öø-ÿ])-\n(?=[a-zà-öø-ÿ])")
KEPT = {"Subject": "subject", "Keywords": "keywords"}
NO_TITLE = re.compile(r"untitled.*|.*\.(?:docx?|dotx?|pptx?|xlsx?|dvi|tex|indd|qxd|pdf)", re.I)
PROGRAM = re.compile(r"^(?:Microsoft (?:Word|PowerPoint|Excel)|PowerPoint Presentation) - ")
NUMBERED = re.compile(r"^(?:\d+|[A-Z])(?:\.\d+)*\.?\s+")
MAX_BOOKMARKS = 5000
MAX_BOOKMARK_DEPTH = 6
PASSWORD = 4  # PDFium's number for a password that is wrong or missing


@dataclass(frozen=True, slots=True)
class _Bookmark:
    page: int  # from 0
    level: int  # from 1
    title: str


def load(path: Path, data: bytes) -> Document:
    """Return a part for each page, or for each section on it, and one for each table.

    A sentence that goes on over the page belongs to the page on which it begins.
    Raises DocumentEncrypted, DocumentUnreadable, or DocumentEmpty for scans without a text layer.
    """
    if b"%PDF-" not in data[:HEADER_BYTES]:
        raise DocumentUnreadable("It is not a PDF, though its name says so.")
    if b"startxref" not in data[-END_BYTES:]:
        raise DocumentUnreadable("It is a damaged PDF: its end is missing.")
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(data)
    except PdfiumError as error:
        if getattr(error, "err_code", None) == PASSWORD or "password" in str(error).lower():
            raise DocumentEncrypted from error
        raise DocumentUnreadable(f"It is a damaged PDF: {error}") from error
    try:
        known = document.get_metadata_dict()
        language = _language(document)
        marks = _bookmarks(document)
        pages = [_page(document, index) for index in range(len(document))]
    finally:
        document.close()
    if not any(page.pieces for page in pages):
        raise DocumentEmpty("It holds no text; it may be a scan, which needs OCR first.")
    title = _title(known.get("Title", "")) or name(path.stem)
    parts = _parts(data, pages, marks, title)
    empty = [index + 1 for index, page in enumerate(pages) if not page.pieces]
    metadata = {ours: name(known[key]) for key, ours in KEPT.items() if known.get(key)}
    return Document(
        title=title,
        media_type="application/pdf",
        parts=tuple(parts),
        bytes=len(data),
        author=name(known.get("Author")) or None,
        language=language,
        created=pdf_moment(known.get("CreationDate")),
        modified=pdf_moment(known.get("ModDate")),
        metadata={**metadata, "pages": len(pages)} | ({"empty_pages": empty} if empty else {}),
    )


def _page(document: PdfDocument, index: int) -> Page:
    from pypdfium2 import PdfiumError

    try:
        page = document[index]
        try:
            return page_of(page)
        finally:
            page.close()
    except PdfiumError as error:
        raise DocumentUnreadable(f"It is a damaged PDF: page {index + 1}: {error}") from error


def _parts(
    data: bytes, pages: Sequence[Page], marks: list[_Bookmark], title: str
) -> Iterator[Part]:
    """Yield what each page holds, below the bookmarks that are open there."""
    drawn = grids(data, [index for index, page in enumerate(pages) if page.grid])
    kept = without_furniture([page.pieces for page in pages])
    headings: list[Heading] = []
    waiting: Part | None = None  # a text that may go on, on the next page
    names: list[str] = []  # of the last table, as long as no text came after it
    for index, (page, pieces) in enumerate(zip(pages, kept, strict=True)):
        placed = pieces if page.flat else _with_tables(page, pieces, drawn.get(index, []))
        ours = [mark for mark in marks if mark.page == index]
        for block in _blocks(placed, ours):
            if isinstance(block, _Bookmark):
                open_heading(headings, block.level, block.title)
                continue
            section = section_path(headings, title)
            if not isinstance(block, str):
                rows, names = _rows(block, names)
                if waiting:
                    yield waiting
                    waiting = None
                yield Part(table(rows, header=True), section, index + 1, records=True, table=True)
                continue
            if not has_text(block):
                continue
            names = []
            if waiting and waiting.page == index and waiting.section == section:
                before, block = continued(waiting.text, block)
                waiting = replace(waiting, text=before)
            if waiting:
                yield waiting
            waiting = Part(block, section, index + 1) if block else None
    if waiting:
        yield waiting


def _with_tables(page: Page, pieces: list[Piece], drawn: Sequence[Grid]) -> list[Piece]:
    for box, rows in drawn or ruled(pieces, page.rules):
        pieces = with_table(pieces, box, rows)
    return pieces


def _blocks(
    pieces: Sequence[Piece], marks: Sequence[_Bookmark]
) -> Iterator[_Bookmark | str | list[list[str]]]:
    """Yield bookmarks, texts and tables of a page in reading order.

    A bookmark whose words stand nowhere on the page counts from its beginning.
    """
    ordered = runs(pieces)
    said = {_plain(piece.text) for piece in pieces}
    found = {_plain(mark.title): mark for mark in marks if _plain(mark.title) in said}
    yield from (mark for mark in marks if _plain(mark.title) not in found)
    written: list[str] = []

    def text() -> str:
        whole = HYPHENATED.sub("", "".join(written)).strip("\n").rstrip()
        written.clear()
        return whole

    for run in ordered:
        if written:
            written.append("\n\n" if run[0].rows else "\n")
        plain: list[Piece] = []
        for piece in [*run, None]:
            if piece is not None and not piece.rows:
                plain.append(piece)
                continue
            for line, begins in lines(plain) if plain else ():
                mark = found.pop(_plain(line), None)
                if mark is not None:
                    yield text()
                    yield mark
                written.append(f"\n{line}\n" if begins and written else f"{line}\n")
            plain = []
            if piece is not None:
                yield text()
                yield [list(row) for row in piece.rows]
    yield text()


def _rows(rows: list[list[str]], names: list[str]) -> tuple[list[list[str]], list[str]]:
    """Return a table with its names: those of the page before, where it goes on from there."""
    if names and len(rows[0]) == len(names) and rows[0] != names:
        return [names, *rows], names
    return rows, rows[0]


def _plain(text: str) -> str:
    """Return what a heading says, without its number."""
    return "".join(filter(str.isalnum, NUMBERED.sub("", text.strip()))).casefold()


def _title(written: str) -> str:
    """Return a title that somebody gave, and not the name of a file that a program put there."""
    title = PROGRAM.sub("", name(written))
    return "" if NO_TITLE.fullmatch(title) else title


def _bookmarks(document: PdfDocument) -> list[_Bookmark]:
    """Return the outline in the order of the pages, as far as it points somewhere."""
    found = []
    for count, item in enumerate(document.get_toc(max_depth=MAX_BOOKMARK_DEPTH)):
        if count == MAX_BOOKMARKS:
            break
        target = item.get_dest()
        page = target.get_index() if target is not None else None
        title = name(item.get_title())
        if page is not None and title:
            found.append(_Bookmark(page, item.level + 1, title))
    return sorted(found, key=lambda mark: mark.page)


def _language(document: PdfDocument) -> str | None:
    """Return what the catalogue says, such as en-GB."""
    from pypdfium2 import raw

    size = raw.FPDFCatalog_GetLanguage(document.raw, None, 0)
    if not 2 < size < HEADER_BYTES:
        return None
    buffer = (ctypes.c_ushort * (size // 2))()
    raw.FPDFCatalog_GetLanguage(document.raw, buffer, size)
    return name(bytes(buffer)[:-2].decode("utf-16-le", "replace")) or None
