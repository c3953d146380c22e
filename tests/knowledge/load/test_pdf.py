"""PDF: the text of each page, and a sentence for each way in which there is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from core.errors import DocumentEmpty, DocumentEncrypted, DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.pdf import load


def pdf(*pages: str) -> bytes:
    """Return a PDF with these pages."""
    made = FPDF()
    made.set_font("helvetica", size=12)
    made.set_title("Handbook")
    made.set_author("Ada")
    made.set_lang("en-GB")
    for page in pages:
        made.add_page()
        if page:
            made.multi_cell(0, 8, page)
    return bytes(made.output())


def encrypted(data: bytes, password: str, owner: str) -> bytes:
    """Return the same PDF, encrypted."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, owner_password=owner, algorithm="RC4-128")
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def read(data: bytes) -> Document:
    """Load it as handbook.pdf."""
    return load(Path("handbook.pdf"), data)


def test_pages_are_numbered_from_one() -> None:
    """Each page with text is a part; a blank one is none, but counts."""
    document = read(pdf("First page.", "", "Third page."))
    assert [(part.page, part.text) for part in document.parts] == [
        (1, "First page."),
        (3, "Third page."),
    ]
    assert document.metadata["pages"] == 3


def test_a_pdf_says_what_it_is_called() -> None:
    """Title, author and language come from the file."""
    document = read(pdf("x"))
    assert (document.title, document.author, document.language) == ("Handbook", "Ada", "en-GB")


def test_words_cut_at_a_line_end_are_joined() -> None:
    """A hyphen at the end of a line is typesetting."""
    assert read(pdf("hyphen-\nated")).text == "hyphenated"


def test_a_password_is_asked_for_by_name() -> None:
    """A PDF that needs a password is refused as encrypted."""
    with pytest.raises(DocumentEncrypted):
        read(encrypted(pdf("secret"), "password", "owner"))


def test_a_pdf_that_only_restricts_printing_is_read() -> None:
    """An owner's password keeps nobody from reading."""
    assert read(encrypted(pdf("Open."), "", "owner")).text == "Open."


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_pdf_is_damaged(kept: float) -> None:
    """Half a file is refused with a sentence."""
    data = pdf("some text " * 50)
    with pytest.raises(DocumentUnreadable, match="damaged"):
        read(data[: int(len(data) * kept)])


def test_a_picture_is_no_pdf() -> None:
    """A PNG with the wrong suffix is named for what it is not."""
    with pytest.raises(DocumentUnreadable, match="not a PDF"):
        read(b"\x89PNG\r\n\x1a\n" + bytes(100))


def test_a_scan_without_text_says_so() -> None:
    """Pages without a text layer are no empty success."""
    with pytest.raises(DocumentEmpty, match="scan"):
        read(pdf("", ""))
