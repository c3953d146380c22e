"""A folder as people have them: 200 files of every kind, ten of them broken."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import docx
import openpyxl
import psutil
import pytest
from fpdf import FPDF
from pptx import Presentation
from pypdf import PdfReader, PdfWriter

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.files import Failure
from knowledge.ingest import Silent, ingest
from knowledge.keywords import search
from knowledge.load.archive import OLE

GOOD, BAD = 190, 10
MAX_WORKER_BYTES = 400 << 20  # at its peak; it needs 200 MB, and the files have 500
ONSETS, VOWELS = "bdfgklmnprstvz", "aeiou"


def sentence(number: int) -> str:
    """Return the sentence by which a file is found."""
    return f"The code of this file is {WORDS[number]} and nothing else."


def _words() -> list[str]:
    letters = [onset + vowel for onset in ONSETS for vowel in VOWELS]
    return [
        "qu" + letters[n % 70] + letters[(n * 11 + n // 70) % 70] + "xo" for n in range(GOOD + BAD)
    ]


WORDS = _words()


def pdf(text: str) -> bytes:
    """Return a PDF of one page."""
    made = FPDF()
    made.set_font("helvetica", size=11)
    made.add_page()
    made.multi_cell(0, 6, text)
    return bytes(made.output())


def word_file(text: str) -> bytes:
    """Return a Word document."""
    made, target = docx.Document(), io.BytesIO()
    made.add_heading("Notes", 1)
    made.add_paragraph(text)
    made.save(target)
    return target.getvalue()


def slides(text: str) -> bytes:
    """Return a presentation of one slide."""
    made, target = Presentation(), io.BytesIO()
    slide: Any = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Overview", text
    made.save(target)
    return target.getvalue()


def workbook(text: str) -> bytes:
    """Return a workbook with a small table."""
    made, target = openpyxl.Workbook(), io.BytesIO()
    for row in (("Key", "Note"), ("a", text), ("b", 2)):
        made.worksheets[0].append(row)
    made.save(target)
    return target.getvalue()


def message(text: str) -> bytes:
    """Return an e-mail."""
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = "News", "ada@example.org", "alan@example.org"
    made.set_content(text)
    return made.as_bytes()


def attached(text: str) -> bytes:
    """Return an e-mail that says nothing itself."""
    made = EmailMessage()
    made["Subject"], made["From"] = "See attached", "ada@example.org"
    made.set_content("Please read this.")
    made.add_attachment(
        workbook(text), maintype="application", subtype="octet-stream", filename="table.xlsx"
    )
    return made.as_bytes()


def box(text: str) -> bytes:
    """Return a mailbox with one message."""
    return b"From ada@example.org Mon Mar  4 10:00:00 2024\n" + message(text)


def notebook(text: str) -> bytes:
    """Return a Jupyter notebook."""
    return json.dumps({"cells": [{"cell_type": "markdown", "source": [text]}]}).encode()


# Each ending with what makes such a file of a sentence; the last ones lie about what they are.
KINDS: list[tuple[str, Callable[[str], bytes]]] = [
    (".pdf", pdf),
    (".docx", word_file),
    (".pptx", slides),
    (".xlsx", workbook),
    (".html", lambda text: f"<html><body><h1>Page</h1><p>{text}</p></body></html>".encode()),
    (".md", lambda text: f"# Page\n\n{text}\n".encode()),
    (".eml", message),
    (".mbox", box),
    (".csv", lambda text: f"key,note\na,{text}\nb,2\n".encode()),
    (".json", lambda text: json.dumps({"note": text}).encode()),
    (".jsonl", lambda text: json.dumps({"id": 1, "text": text}).encode()),
    (".ipynb", notebook),
    (".txt", str.encode),
    ("-utf16.txt", lambda text: text.encode("utf-16")),
    ("-cp1252.txt", lambda text: f"Größe und Übermaß. {text} Straße über Füße.".encode("cp1252")),
    ("-koi8.txt", lambda text: f"Привет, это обычный русский текст. {text}".encode("koi8-r")),
    ("-sjis.txt", lambda text: f"これは日本語のテキストです。 {text}".encode("shift_jis")),
    ("-attached.eml", attached),
    ("-lies.txt", pdf),
    ("-lies.doc", word_file),
    ("-lies.csv", workbook),
    ("-lies.xls", lambda text: f"<!doctype html><html><p>{text}</p></html>".encode()),
]


def encrypted(data: bytes) -> bytes:
    """Return a PDF that asks for a password."""
    writer, target = PdfWriter(clone_from=PdfReader(io.BytesIO(data))), io.BytesIO()
    writer.encrypt("password", algorithm="RC4-128")
    writer.write(target)
    return target.getvalue()


def packed(**files: bytes) -> bytes:
    """Return a ZIP archive; `a_xml` is called a.xml in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return target.getvalue()


def write_bad(folder: Path) -> dict[str, str]:
    """Write ten files that cannot be read; return the code by which each is to be named."""
    text = "This is never read. " * 20
    bad: dict[str, tuple[bytes, str]] = {
        "cut.pdf": (pdf(text)[:700], "document_unreadable"),
        "cut.docx": (word_file(text)[:9000], "document_unreadable"),
        "bomb.xlsx": (packed(a_xml=bytes(300 << 20)), "document_too_large"),
        "locked.pdf": (encrypted(pdf(text)), "document_encrypted"),
        "locked.docx": (
            OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            "document_encrypted",
        ),
        "picture.pdf": (b"\x89PNG\r\n\x1a\n" + bytes(200), "document_unreadable"),
        "empty.txt": (b"", "document_empty"),
        "noise.txt": (bytes(range(256)) * 20, "document_unreadable"),
        "old.doc": (OLE + bytes(600) + "WordDocument".encode("utf-16-le"), "document_unsupported"),
    }
    for name, (data, _) in bad.items():
        (folder / name).write_bytes(data)
    with (folder / "endless.txt").open("wb") as file:
        file.write(text.encode())
        file.truncate(200 << 20)  # no byte of it is stored, and none may be read
    return {name: code for name, (_, code) in bad.items()} | {"endless.txt": "document_too_large"}


class Watching(Silent):
    """Looks after each document how much memory the reading process ever had."""

    def __init__(self) -> None:
        self.peak_bytes = 0

    def finish(self, *_: object, **__: object) -> None:
        """Look."""
        self._look()

    def fail(self, failure: Failure) -> None:
        """Look."""
        self._look()

    def _look(self) -> None:
        for child in psutil.Process().children(recursive=True):
            try:
                if "knowledge.load.worker" in child.cmdline():
                    status = Path(f"/proc/{child.pid}/status").read_text(encoding="ascii")
                    peak = status.split("VmHWM:")[1].split()[0]
                    self.peak_bytes = max(self.peak_bytes, int(peak) << 10)
            except (psutil.Error, OSError, IndexError):
                continue  # it ended meanwhile


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110
async def test_two_hundred_files_ten_of_them_broken(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """Every good file is found by its own words, every bad one named, memory bounded."""
    expected = {}
    for number in range(GOOD):
        suffix, make = KINDS[number % len(KINDS)]
        path = tmp_path / f"folder {number % 7}" / f"file {number}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(make(sentence(number)))
        expected[number] = path.as_uri()
    bad = write_bad(tmp_path)
    watching = Watching()
    summary = await ingest(
        database,
        embedder,
        [tmp_path],
        tenant_id=tenant,
        settings=KnowledgeSettings(),
        report=watching,
    )
    assert {Path(failure.path).name: failure.code for failure in summary.failures} == bad
    assert all(failure.error.message for failure in summary.failures)
    assert summary.added == GOOD
    missing = {}
    async with database.transaction(tenant) as conn:
        for number, uri in expected.items():
            hits = await search(conn, WORDS[number], tenant_id=tenant, limit=2)
            rows = await conn.execute(
                "select d.uri from chunks c join documents d using (document_id)"
                " where c.chunk_id = any(%s)",
                [[hit.chunk_id for hit in hits]],
            )
            found = [str(row[0]).partition("#")[0] for row in await rows.fetchall()]
            if found != [uri]:
                missing[uri] = found
    assert missing == {}
    assert 0 < watching.peak_bytes < MAX_WORKER_BYTES
