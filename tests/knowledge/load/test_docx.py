"""DOCX: paragraphs under their headings, tables as rows, and no bomb unpacked."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docx
import pytest

from core.errors import DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.docx import W, load


def saved(word: Any) -> bytes:
    """Return a Word document as bytes."""
    target = io.BytesIO()
    word.save(target)
    return target.getvalue()


def read(data: bytes) -> Document:
    """Load it as report.docx."""
    return load(Path("report.docx"), data)


def test_headings_become_sections() -> None:
    """A paragraph knows the headings above it; the title is no section."""
    word = docx.Document()
    word.add_heading("Report", 0)
    word.add_paragraph("Hello.")
    word.add_heading("Use", 1)
    word.add_heading("Fast", 2)
    word.add_paragraph("Go.")
    word.add_paragraph("an item", style="List Bullet")
    document = read(saved(word))
    assert document.title == "Report"
    assert [(part.section, part.text) for part in document.parts] == [
        ("", "Hello."),
        ("Use > Fast", "Go.\n\n- an item"),
    ]


def test_properties_are_kept() -> None:
    """Title, author and language come from the file's properties."""
    word = docx.Document()
    word.core_properties.title = "Plan"
    word.core_properties.author = "Ada"
    word.core_properties.language = "de-CH"
    word.add_paragraph("x")
    document = read(saved(word))
    assert (document.title, document.author, document.language) == ("Plan", "Ada", "de-CH")


def test_a_table_becomes_rows_that_name_their_columns() -> None:
    """Each row is a paragraph that is understood alone."""
    word = docx.Document()
    table = word.add_table(0, 3)
    for row in (("Name", "Born", "City"), ("Ada", "1815", "London"), ("Alan", "", "London")):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    assert (
        read(saved(word)).text == "Name: Ada; Born: 1815; City: London\n\nName: Alan; City: London"
    )


def test_tracked_changes_read_as_accepted() -> None:
    """Inserted words are there, deleted ones are not."""
    word = docx.Document()
    paragraph = word.add_paragraph("We ")
    for tag, text_tag, text in (("del", "delText", "hate"), ("ins", "t", "like")):
        change = paragraph._p.makeelement(f"{W}{tag}", {})
        run = change.makeelement(f"{W}r", {})
        element = run.makeelement(f"{W}{text_tag}", {})
        element.text = text
        run.append(element)
        change.append(run)
        paragraph._p.append(change)
    paragraph.add_run(" it.")
    assert read(saved(word)).text == "We like it."


def test_content_controls_are_read() -> None:
    """Paragraphs inside forms and cover pages are text too."""
    word = docx.Document()
    body = word.element.body
    control, content = body.makeelement(f"{W}sdt", {}), body.makeelement(f"{W}sdtContent", {})
    content.append(word.add_paragraph("Inside.")._p)
    control.append(content)
    body.insert(0, control)
    assert read(saved(word)).text == "Inside."


def test_another_zip_is_no_word_document() -> None:
    """A zip with the wrong suffix is refused."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.txt", "hello")
    with pytest.raises(DocumentUnreadable):
        read(target.getvalue())


@pytest.mark.parametrize("data", [b"no zip at all", saved(docx.Document())[:9000]])
def test_half_a_document_is_refused(data: bytes) -> None:
    """A truncated file is damaged, not empty."""
    with pytest.raises(DocumentUnreadable):
        read(data)


def test_tables_stand_between_the_texts_around_them() -> None:
    """A table is a part of its own, below the same heading as the text beside it."""
    word = docx.Document()
    word.add_heading("Prices", 1)
    word.add_paragraph("Before.")
    table = word.add_table(3, 2)
    for row, texts in zip(
        table.rows, (("Item", "Price"), ("Tea", "2"), ("Cake", "4")), strict=True
    ):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    word.add_paragraph("After.")
    document = read(saved(word))
    assert [(part.section, part.text, part.table) for part in document.parts] == [
        ("", "Before.", False),
        ("", "Item | Price\n\nTea | 2\n\nCake | 4", True),
        ("", "After.", False),
    ]


def test_merged_cells_count_for_all_they_cover() -> None:
    """A value over several rows belongs to each; columns right of a wide cell keep their names."""
    word = docx.Document()
    table = word.add_table(3, 3)
    rows = (("Kind", "Name", "Price"), ("Drink", "Tea", "2"), ("", "Coffee", "3"))
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    assert read(saved(word)).text == (
        "Kind: Drink; Name: Tea; Price: 2\n\nKind: Drink; Name: Coffee; Price: 3"
    )


def test_dates_come_from_the_file() -> None:
    """When it was made and changed is kept with its time zone; nothing is invented."""
    word = docx.Document()
    word.core_properties.created = datetime(2021, 3, 4, 5, 6, tzinfo=UTC)
    word.core_properties.modified = datetime(2022, 3, 4, 5, 6, tzinfo=UTC)
    word.add_paragraph("x")
    document = read(saved(word))
    assert document.created == datetime(2021, 3, 4, 5, 6, tzinfo=UTC)
    assert document.modified == datetime(2022, 3, 4, 5, 6, tzinfo=UTC)
