"""DOCX: paragraphs under their headings and tables as rows, by python-docx."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import (
    DocumentEncrypted,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
)
from core.text import scrub
from knowledge.load.document import Document, Heading, Part, has_text, name, open_heading, sectioned
from knowledge.load.rows import table

if TYPE_CHECKING:
    from docx.document import Document as Docx

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MAX_UNPACKED_BYTES = 256 << 20  # pictures included; a bomb claims gigabytes
MAX_MEMBERS = 10_000
OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # what Word wrote until 2003, and writes around a cipher
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
UNREAD = {f"{W}del", f"{W}moveFrom", f"{MC}Fallback", f"{W}txbxContent"}
PLACEHOLDERS = {"Word Document", "python-docx"}  # what python-docx answers without properties


def load(path: Path, data: bytes) -> Document:
    """Return a part for each heading with text below it.

    Raises DocumentEncrypted, DocumentUnsupported (.doc), DocumentTooLarge or DocumentUnreadable.
    """
    _check(data)
    import docx as python_docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError  # type: ignore[import-untyped]  # has no stubs

    try:
        docx = python_docx.Document(io.BytesIO(data))
        properties = docx.core_properties
        known = {key: name(getattr(properties, key)) for key in ("title", "author", "language")}
        known = {key: value for key, value in known.items() if value not in PLACEHOLDERS}
        title, parts = _read(docx, known.get("title", ""), path)
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
        author=known.get("author") or None,
        language=known.get("language") or None,
    )


def _check(data: bytes) -> None:
    """Refuse what is no DOCX, and what would unpack without bound, before unpacking anything."""
    if data.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise DocumentEncrypted
        raise DocumentUnsupported("It is an old Word file; save it as .docx.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise DocumentUnreadable("It is not a Word document, or not all of it.") from error
    # zipfile never unpacks more of a member than the directory says, so the sum is the bound.
    if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
        raise DocumentTooLarge(f"It unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB.")
    if any(member.flag_bits & 1 for member in members):
        raise DocumentEncrypted


def _read(docx: Docx, title: str, path: Path) -> tuple[str, tuple[Part, ...]]:
    """Return the title and the parts."""
    styles = {style.style_id: (style.name or "").casefold() for style in docx.styles}
    stretches: list[tuple[list[Heading], list[str]]] = [([], [])]
    headings: list[Heading] = []
    for element in _blocks(docx.element.body):
        if element.tag == f"{W}tbl":
            stretches[-1][1].append(_table(element))
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
            open_heading(headings, int(digits) if digits.isdigit() else 1, text)
            stretches.append((list(headings), []))
        else:
            stretches[-1][1].append(f"- {text}" if style.startswith("list") else text)
    title = title or next((h[0][1] for h, _ in stretches if h), "") or name(path.stem)
    return title, sectioned([(h, "\n\n".join(filter(None, b))) for h, b in stretches], title)


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


def _table(element: Any) -> str:
    rows = []
    for row in element.iter(f"{W}tr"):
        cells = [_text(cell) for cell in row.iter(f"{W}tc")]
        rows.append(cells)
    header = element.find(f"{W}tr/{W}trPr/{W}tblHeader") is not None
    return table(rows, header=header)
