"""What a file is, its content says; its name only where the content may be anything."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import openpyxl
import pytest
from fpdf import FPDF

from core.errors import DocumentEncrypted, DocumentUnreadable, DocumentUnsupported
from knowledge.load.archive import OLE
from knowledge.load.formats import read
from knowledge.load.kinds import is_box, kind

PAGE = b"<!-- made by x -->\n<!DOCTYPE HTML><html><body><p>Hello.</p></body></html>"
MAIL = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: Hi\r\n\r\nHello."


def word() -> bytes:
    """Return a Word document."""
    made, target = docx.Document(), io.BytesIO()
    made.add_paragraph("Hello.")
    made.save(target)
    return target.getvalue()


def workbook() -> bytes:
    """Return an Excel workbook."""
    made, target = openpyxl.Workbook(), io.BytesIO()
    made.worksheets[0].append(["Hello."])
    made.save(target)
    return target.getvalue()


def pdf() -> bytes:
    """Return a PDF."""
    made = FPDF()
    made.set_font("helvetica", size=12)
    made.add_page()
    made.cell(text="Hello.")
    return bytes(made.output())


def archive(name: str) -> bytes:
    """Return a ZIP archive with one file in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        made.writestr(name, b"x")
    return target.getvalue()


@pytest.mark.parametrize("suffix", [".pdf", ".txt", ".docx", ".dat", ""])
def test_a_pdf_is_a_pdf_under_any_name(suffix: str) -> None:
    """The first bytes decide."""
    assert read(Path(f"a{suffix}"), pdf()).media_type == "application/pdf"


@pytest.mark.parametrize("suffix", [".docx", ".doc", ".zip", ".txt", ".xlsx"])
def test_a_word_document_is_one_under_any_name(suffix: str) -> None:
    """What is in the archive decides."""
    document = read(Path(f"a{suffix}"), word())
    assert (document.text, document.title) == ("Hello.", "a")


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".xls"])
def test_a_workbook_is_one_under_any_name(suffix: str) -> None:
    """A spreadsheet saved under the wrong name is read as what it is."""
    assert read(Path(f"a{suffix}"), workbook()).text == "Hello."


@pytest.mark.parametrize("suffix", [".html", ".txt", ".xls", ".doc", ".csv", ""])
def test_a_web_page_is_one_under_other_names(suffix: str) -> None:
    """Programs export HTML under the names of Office."""
    assert read(Path(f"a{suffix}"), PAGE).media_type == "text/html"


def test_a_message_without_a_suffix_is_a_message() -> None:
    """Mail servers save messages without one."""
    assert read(Path("1718"), MAIL).title == "Hi"
    assert kind(Path("a.md"), MAIL) == "markdown"


def test_a_mailbox_is_known_by_its_first_line() -> None:
    """A text that begins with the word From is none."""
    assert is_box(b"From a@example.org Mon Mar  4 10:00:00 2024\n" + MAIL)
    assert not is_box(b"From here to eternity\nis a film.\n")


def test_text_about_a_pdf_is_text() -> None:
    """The mark counts only where a PDF has it."""
    assert kind(Path("a.txt"), b"A PDF begins with %PDF-1.7.") == "text"


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.odt", archive("content.xml"), "OpenDocument"),
        ("a.xlsb", archive("xl/workbook.bin"), "binary Excel"),
        ("a.epub", archive("META-INF/container.xml"), "e-book"),
        ("a.zip", archive("a.txt"), "unpack it"),
        ("a.doc", OLE + "WordDocument".encode("utf-16-le"), "before 2007"),
        ("a.gz", b"\x1f\x8b\x08", "unpack it"),
        ("a.rtf", b"{\\rtf1 x}", "RTF"),
        ("a.xyz", b"anything", r"Files ending in \.xyz"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(name: str, data: bytes, words: str) -> None:
    """The sentence says what it is, and often what to do."""
    with pytest.raises(DocumentUnsupported, match=words):
        kind(Path(name), data)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.pdf", b"\x89PNG\r\n\x1a\n", r"called \.pdf, but is a picture"),
        ("a.docx", archive("a.txt"), r"called \.docx, but is an archive"),
        ("a.txt", b"\x7fELF\x02", "a program"),
    ],
)
def test_a_name_that_lies_is_named(name: str, data: bytes, words: str) -> None:
    """The sentence says what the name promises and what the file is."""
    with pytest.raises(DocumentUnreadable, match=words):
        kind(Path(name), data)


def test_a_cipher_is_seen_under_any_name() -> None:
    """A workbook with a password is encrypted, not damaged."""
    with pytest.raises(DocumentEncrypted):
        kind(Path("a.xlsx"), OLE + "EncryptedPackage".encode("utf-16-le"))


def test_many_comments_take_no_time() -> None:
    """What stands before a page's first element is read once."""
    assert kind(Path("a.txt"), b"<!---->" * 1000) == "text"
