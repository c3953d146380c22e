"""DOCX: paragraphs under their headings and tables as rows, by python-docx."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, has_text, name
from knowledge.load.outline import Outline, sectioned
from knowledge.load.properties import properties

if TYPE_CHECKING:
    from docx.document import Document as Docx

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
MAX_COLUMNS = 63  # as many as Word allows
UNREAD = {f"{W}del", f"{W}moveFrom", f"{MC}Fallback", f"{W}txbxContent"}


def load(path: Path, data: bytes) -> Document:
    """Return a part for each heading with text below it, and one for each table.

    data: an archive that `archive.members` let pass. Raises DocumentUnreadable.
    """
    import docx as python_docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError  # type: ignore[import-untyped]  # has no stubs

    known = properties(data)
    try:
        title, parts = _read(python_docx.Document(io.BytesIO(data)), known.title, path)
    except (
        OpcError,
        LxmlError,
        zipfile.BadZipFile,
        NotImplementedError,
        *(KeyError, ValueError, AttributeError, EOFError, RecursionError, OSError),
    ) as error:
        raise DocumentUnreadable(f"It is not a whole Word document: {error}") from error
    return Document(
        title=title,
        media_type=MEDIA_TYPE,
        parts=parts,
        bytes=len(data),
        author=known.author,
        language=known.language,
        created=known.created,
        modified=known.modified,
    )


def _read(docx: Docx, title: str, path: Path) -> tuple[str, tuple[Part, ...]]:
    """Return the title and the parts."""
    styles = {style.style_id: (style.name or "").casefold() for style in docx.styles}
    outline = Outline()
    for element in _blocks(docx.element.body):
        if element.tag == f"{W}tbl":
            marked = element.find(f"{W}tr/{W}trPr/{W}tblHeader") is not None
            outline.table(_rows(element), header=marked)
            continue
        text = _text(element)
        style = styles.get(_style(element), "")
        if not has_text(text):
            continue
        if style == "title" and not title:
            title = name(text)
        elif style == "title" and name(text) == title:
            pass
        elif style.startswith("heading "):
            digits = style.removeprefix("heading ")
            outline.heading(int(digits) if digits.isdigit() else 1, text)
        else:
            outline.block(f"- {text}" if style.startswith("list") else text)
    stretches = outline.finish()
    title = title or outline.first_heading or name(path.stem)
    return title, sectioned(stretches, title)


def _blocks(parent: Any) -> Iterator[Any]:
    """Yield paragraphs and tables in order, also those inside content controls."""
    for child in parent:
        if child.tag in {f"{W}p", f"{W}tbl"}:
            yield child
        elif child.tag in {f"{W}sdt", f"{W}sdtContent", f"{W}ins", f"{W}customXml"}:
            yield from _blocks(child)


def _style(paragraph: Any) -> str:
    found = paragraph.find(f"{W}pPr/{W}pStyle")
    return "" if found is None else found.get(f"{W}val", "")


def _text(element: Any) -> str:
    """Return the text a reader sees: insertions in, deletions and field codes out.

    python-docx's own `paragraph.text` leaves tracked insertions and content controls out.
    """
    pieces: list[str] = []

    def walk(node: Any) -> None:
        for child in node:
            if child.tag == f"{W}t":
                pieces.append(child.text or "")
            elif child.tag == f"{W}tab":
                pieces.append("\t")
            elif child.tag in {f"{W}br", f"{W}cr"}:
                pieces.append("\n")
            elif child.tag == f"{W}noBreakHyphen":
                pieces.append("-")
            elif child.tag not in UNREAD and not str(child.tag).endswith("Pr"):
                walk(child)

    walk(element)
    return scrub("".join(pieces)).strip()


def _rows(table: Any) -> list[list[str]]:
    """Return the cells' texts, each under its column: a cell over many rows counts in each."""
    rows: list[list[str]] = []
    for row in table.iter(f"{W}tr"):
        texts: list[str] = []
        for cell in row.iter(f"{W}tc"):
            merged = cell.find(f"{W}tcPr/{W}vMerge")
            if merged is not None and merged.get(f"{W}val") != "restart" and rows:
                texts.append(rows[-1][len(texts)] if len(texts) < len(rows[-1]) else "")
            else:
                texts.append(_text(cell))
            span = cell.find(f"{W}tcPr/{W}gridSpan")
            wide = span.get(f"{W}val", "1") if span is not None else "1"
            texts.extend([""] * (min(int(wide), MAX_COLUMNS) - 1 if wide.isdigit() else 0))
        rows.append(texts)
    return rows
