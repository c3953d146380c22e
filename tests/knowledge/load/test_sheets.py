"""XLSX: tables as rows that name their columns, whatever shape a sheet has."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from core.errors import DocumentTooLarge, DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.sheets import GROUP_ROWS, load


@pytest.fixture
def book() -> Any:
    """A workbook with one empty sheet called Data."""
    made = openpyxl.Workbook()
    made.worksheets[0].title = "Data"
    return made


def saved(book: Any) -> bytes:
    """Return a workbook as bytes."""
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def read(book: Any) -> Document:
    """Load it as book.xlsx."""
    return load(Path("book.xlsx"), saved(book))


def fill(sheet: Any, *rows: tuple[object, ...]) -> None:
    """Write rows."""
    for row in rows:
        sheet.append(row)


def test_each_row_names_its_columns(book: Any) -> None:
    """A row is understood alone, and empty cells are left out."""
    fill(book.active, ("Name", "Born", "City"), ("Ada", 1815, "London"), ("Alan", None, "London"))
    (part,) = read(book).parts
    assert part.text == "Name: Ada; Born: 1815; City: London\n\nName: Alan; City: London"
    assert (part.section, part.table, part.records) == ("Data", True, True)


def test_values_read_as_they_are_shown(book: Any) -> None:
    """Dates are ISO 8601, percent are percent, and numbers have no rounding errors."""
    sheet = book.active
    row = (date(2024, 3, 1), datetime(2024, 3, 1, 14, 30), 0.25, 0.1 + 0.2, 3.0, True)  # noqa: DTZ001
    fill(sheet, ("day", "at", "share", "sum", "count", "ok"), row)
    sheet["C2"].number_format = "0%"
    assert read(book).text == (
        "day: 2024-03-01; at: 2024-03-01 14:30; share: 25%; sum: 0.3; count: 3; ok: TRUE"
    )


def test_formulas_read_as_their_last_value() -> None:
    """What Excel computed and saved is what the sheet shows."""
    book = openpyxl.Workbook()
    fill(book.active, ("a", "sum"), (1, "=A2+1"))
    data = saved(book)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            text = old.read(name).replace(b"<f>A2+1</f><v></v>", b"<f>A2+1</f><v>2</v>")
            text = text.replace(b"<f>A2+1</f><v />", b"<f>A2+1</f><v>2</v>")
            new.writestr(name, text)
    assert load(Path("a.xlsx"), target.getvalue()).text == "a: 1; sum: 2"


def test_merged_cells_count_for_all_they_cover(book: Any) -> None:
    """A value beside several rows belongs to each of them."""
    fill(book.active, ("Kind", "Name"), ("Drink", "Tea"), (None, "Coffee"))
    book.active.merge_cells("A2:A3")
    assert read(book).text == "Kind: Drink; Name: Tea\n\nKind: Drink; Name: Coffee"


def test_a_caption_becomes_part_of_the_section(book: Any) -> None:
    """A single cell above a table, merged or not, says what the table is about."""
    fill(book.active, ("Prices of 2024",), ("Item", "Price"), ("Tea", 2))
    book.active.merge_cells("A1:B1")
    (part,) = read(book).parts
    assert (part.section, part.text) == ("Data > Prices of 2024", "Item: Tea; Price: 2")


def test_empty_rows_part_tables(book: Any) -> None:
    """Two tables on a sheet have columns of their own."""
    fill(book.active, ("a", "b"), (1, 2), (), (None, "c", "d"), (None, 3, 4))
    assert [part.text for part in read(book).parts] == ["a: 1; b: 2", "c: 3; d: 4"]


def test_rows_without_names_are_no_names(book: Any) -> None:
    """A first row of numbers names nothing; years may be names."""
    fill(book.active, (10, 20), (30, 40), (), ("City", 2023, 2024), ("Bern", 1, 2))
    assert [part.text for part in read(book).parts] == [
        "10 | 20\n\n30 | 40",
        "City: Bern; 2023: 1; 2024: 2",
    ]


def test_hidden_sheets_are_left_out_and_named(book: Any) -> None:
    """Who opens the workbook does not see them."""
    book.active.append(("shown",))
    hidden = book.create_sheet("Secret")
    hidden.append(("hidden",))
    hidden.sheet_state = "hidden"
    document = read(book)
    assert document.text == "shown"
    assert document.metadata == {"sheets": 2, "hidden_sheets": ["Secret"]}


def test_a_long_table_comes_in_groups(book: Any) -> None:
    """Each group's rows still name their columns."""
    fill(book.active, ("n", "x"), *((number, "y") for number in range(GROUP_ROWS + 1)))
    first, second = read(book).parts
    assert first.text.count("\n\n") == GROUP_ROWS - 1
    assert second.text == f"n: {GROUP_ROWS}; x: y"


def test_a_far_cell_costs_nothing(book: Any) -> None:
    """A sheet that claims all its columns is read by what it has."""
    fill(book.active, ("a", "b"), (1, 2))
    book.active["XFD900000"] = "far"
    assert [part.text for part in read(book).parts] == ["a: 1; b: 2", "far"]


def test_a_huge_workbook_is_refused(book: Any) -> None:
    """Cells with a value are counted over all sheets."""
    fill(book.active, (1, 2), (3, 4))
    fill(book.create_sheet(), (5, 6))
    data = saved(book)
    assert load(Path("a.xlsx"), data, max_cells=6).parts
    with pytest.raises(DocumentTooLarge, match="cells"):
        load(Path("a.xlsx"), data, max_cells=5)


def test_properties_are_kept(book: Any) -> None:
    """Title, author and dates come from the file."""
    book.properties.title, book.properties.creator = "Plan", "Ada"
    book.properties.created = datetime(2021, 3, 4, 5, 6)  # noqa: DTZ001  # as the library wants it
    book.active.append(("x",))
    document = read(book)
    assert (document.title, document.author) == ("Plan", "Ada")
    assert document.created == datetime(2021, 3, 4, 5, 6, tzinfo=UTC)


def test_half_a_workbook_is_refused(book: Any) -> None:
    """A truncated file is damaged."""
    with pytest.raises(DocumentUnreadable):
        load(Path("a.xlsx"), saved(book)[:3000])
