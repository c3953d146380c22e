"""PDF pages read as a reader reads them: columns, paragraphs, tables, without page furniture."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from knowledge.load.document import Document
from knowledge.load.furniture import continued
from knowledge.load.pdf import load

LEFT = [f"This is line {number} of the column at the left" for number in range(20)]
RIGHT = [f"Now the right column goes on with line {number}" for number in range(20)]


@pytest.fixture
def pdf() -> FPDF:
    """A PDF without pages."""
    made = FPDF()
    made.set_font("helvetica", size=10)
    made.set_auto_page_break(False)
    return made


def read(pdf: FPDF) -> Document:
    """Load it as paper.pdf."""
    return load(Path("paper.pdf"), bytes(pdf.output()))


def at(pdf: FPDF, x: float, y: float, text: str) -> None:
    """Write a line at a place, in millimetres."""
    pdf.set_xy(x, y)
    pdf.cell(text=text)


def test_columns_are_read_one_after_the_other(pdf: FPDF) -> None:
    """Also where the file holds them line by line across the page."""
    pdf.add_page()
    at(pdf, 10, 20, "A title that stands over both of the columns of this page, and is long")
    for row, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        at(pdf, 10, 40 + 6 * row, left)
        at(pdf, 110, 40 + 6 * row, right)
    found = read(pdf).text.split("\n")
    assert [line for line in found if line][1:] == [*LEFT, *RIGHT]
    assert found[0].startswith("A title")


def test_text_across_the_page_parts_the_columns(pdf: FPDF) -> None:
    """What stands above a wide line is read before it, in both columns."""
    pdf.add_page()
    for row in range(20):
        y = 20 + 6 * row + (12 if row >= 10 else 0)
        at(pdf, 10, y, LEFT[row])
        at(pdf, 110, y, RIGHT[row])
    at(pdf, 10, 83, "A sentence in the middle of the page that is as wide as both columns, or so")
    found = [line for line in read(pdf).text.split("\n") if line]
    assert found[:20] == [*LEFT[:10], *RIGHT[:10]]
    assert found[21:] == [*LEFT[10:], *RIGHT[10:]]


def test_labels_and_values_are_no_columns(pdf: FPDF) -> None:
    """A form is read line by line."""
    pdf.add_page()
    for row in range(12):
        at(pdf, 10, 20 + 6 * row, f"Field {row}")
        at(pdf, 110, 20 + 6 * row, f"the value that was filled in for field {row}")
    first = read(pdf).text.split("\n")[0]
    assert first == "Field 0 the value that was filled in for field 0"


def test_a_wider_gap_begins_a_paragraph(pdf: FPDF) -> None:
    """Paragraphs are a blank line apart, as the chunker wants them."""
    pdf.add_page()
    for y, text in ((20, "One."), (25, "Two."), (30, "Three."), (40, "Four."), (45, "Five.")):
        at(pdf, 10, y, text)
    assert read(pdf).text == "One.\nTwo.\nThree.\n\nFour.\nFive."


def test_a_table_with_lines_is_a_part_of_its_own(pdf: FPDF) -> None:
    """Rows name their columns; the text around it stays in order."""
    pdf.add_page()
    pdf.multi_cell(0, 6, "Before the table.")
    pdf.ln(4)
    with pdf.table() as table:
        for row in (("Item", "Price"), ("Tea", "2"), ("A cake with\ntwo lines", "4")):
            table.row(row)
    pdf.ln(4)
    pdf.multi_cell(0, 6, "After the table.")
    assert [(part.text, part.table, part.page) for part in read(pdf).parts] == [
        ("Before the table.", False, 1),
        ("Item: Tea; Price: 2\n\nItem: A cake with two lines; Price: 4", True, 1),
        ("After the table.", False, 1),
    ]


def test_a_table_between_rules_is_one_too(pdf: FPDF) -> None:
    """Books draw lines above, below and under the head of a table only."""
    pdf.add_page()
    at(pdf, 10, 10, "Some words before it.")
    for y in (20, 28, 60):
        pdf.line(10, y, 150, y)
    for row, texts in enumerate((("Item", "Price"), ("Tea", "2"), ("Cake", "4"), ("Pie", "5"))):
        for column, text in enumerate(texts):
            at(pdf, 12 + 60 * column, 22 + 8 * row, text)
    before, table = read(pdf).parts
    assert before.text == "Some words before it."
    assert table.table
    assert table.text == "Item: Tea; Price: 2\n\nItem: Cake; Price: 4\n\nItem: Pie; Price: 5"


def test_a_table_that_goes_on_keeps_its_names(pdf: FPDF) -> None:
    """Rows on the next page name the columns of the page before, repeated there or not."""
    for rows in ((("Item", "Price"), ("Tea", "2")), (("Cake", "4"), ("Pie", "5"))):
        pdf.add_page()
        with pdf.table(first_row_as_headings=False) as table:
            for row in rows:
                table.row(row)
    assert [part.text for part in read(pdf).parts] == [
        "Item: Tea; Price: 2",
        "Item: Cake; Price: 4\n\nItem: Pie; Price: 5",
    ]


def test_page_numbers_and_running_heads_are_left_out(pdf: FPDF) -> None:
    """Numbers go, a head stays where it first stands; numbers that do not count are text."""
    for page in range(1, 6):
        pdf.add_page()
        at(pdf, 10, 10, "The Annual Report")
        at(pdf, 10, 30, f"Page {page * page} of the story says something.")
        at(pdf, 10, 50, f"{'And more. ' * page}")
        at(pdf, 100, 280, f"- {page + 2} -")
    texts = [part.text.replace("\n\n", "\n") for part in read(pdf).parts]
    assert texts[0] == "The Annual Report\nPage 1 of the story says something.\nAnd more."
    assert texts[1] == "Page 4 of the story says something.\nAnd more. And more."
    assert texts[4].startswith("Page 25 of the story says something.\nAnd more. And")
    assert texts[4].endswith("more.")


def test_a_sentence_that_goes_on_stands_on_its_first_page(pdf: FPDF) -> None:
    """It can be found and cited whole."""
    for text in ("It was late. The ferry leaves every", "half hour. A new day."):
        pdf.add_page()
        at(pdf, 10, 20, text)
    assert [(part.page, part.text) for part in read(pdf).parts] == [
        (1, "It was late. The ferry leaves every\nhalf hour."),
        (2, "A new day."),
    ]


def test_nothing_moves_without_a_reason() -> None:
    """Only what goes on in small letters, and ends soon, belongs to the page before."""
    assert continued("An end.", "new text.") == ("An end.", "new text.")
    assert continued("A heading", "New text.") == ("A heading", "New text.")
    assert continued("without an", "end " * 200) == ("without an", "end " * 200)
    assert continued("hyphen-", "ated word. Next.") == ("hyphenated word.", "Next.")


def test_bookmarks_are_sections(pdf: FPDF) -> None:
    """A part knows the headings above it, on its page and on those before."""
    pdf.add_page()
    for y, level, heading, text in (
        (20, 0, "1 Use", "First words."),
        (60, 1, "1.1 Fast", "More words."),
    ):
        pdf.set_xy(10, y)
        pdf.start_section(heading, level)
        pdf.cell(text=heading)
        at(pdf, 10, y + 10, text)
    pdf.add_page()
    at(pdf, 10, 20, "Last words.")
    assert [(part.section, part.page) for part in read(pdf).parts] == [
        ("1 Use", 1),
        ("1 Use > 1.1 Fast", 1),
        ("1 Use > 1.1 Fast", 2),
    ]


def test_a_turned_page_is_read_as_it_comes(pdf: FPDF) -> None:
    """Nothing is lost where places do not mean what they say."""
    pdf.add_page()
    at(pdf, 10, 20, "Turned words.")
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(bytes(pdf.output()))))
    writer.pages[0].rotate(90)
    target = io.BytesIO()
    writer.write(target)
    assert load(Path("turned.pdf"), target.getvalue()).text == "Turned words."


def test_dates_come_from_the_file(pdf: FPDF) -> None:
    """When it was made is kept with its time zone."""
    pdf.add_page()
    at(pdf, 10, 20, "x")
    pdf.set_creation_date(datetime(2021, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))))
    assert read(pdf).created == datetime(2021, 3, 4, 3, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "title"),
    [("Microsoft Word - Plan", "Plan"), ("report_final.docx", "paper"), ("Untitled1", "paper")],
)
def test_names_that_programs_gave_are_no_titles(pdf: FPDF, given: str, title: str) -> None:
    """What stands in the file as its title is often where it was saved."""
    pdf.add_page()
    at(pdf, 10, 20, "x")
    pdf.set_title(given)
    assert read(pdf).title == title
