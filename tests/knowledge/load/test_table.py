"""CSV and TSV: every row understood by itself, no column lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.table import load


def read(folder: Path, data: bytes, name: str = "people.csv") -> Document:
    """Load a table from a file."""
    path = folder / name
    path.write_bytes(data)
    return load(path, data)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_row_names_its_columns(tmp_path: Path, delimiter: str) -> None:
    """Whatever the delimiter, a row reads `column: value; column: value`."""
    lines = ["name,age,city", "Ada,36,London", "Alan,41,Wilmslow"]
    data = "\r\n".join(lines).replace(",", delimiter).encode()
    document = read(tmp_path, data)
    assert (
        document.text == "name: Ada; age: 36; city: London\n\nname: Alan; age: 41; city: Wilmslow"
    )
    assert document.parts[0].records
    assert document.metadata == {"rows": 2, "columns": ["name", "age", "city"]}


def test_quotes_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    """A quoted cell may hold anything."""
    document = read(tmp_path, b'name,note\n"Lovelace, Ada","first\nsecond"\n')
    assert document.text == "name: Lovelace, Ada; note: first; second"


def test_no_column_is_lost(tmp_path: Path) -> None:
    """Repeated and missing names, and cells beyond the last column, all keep their values."""
    document = read(tmp_path, b"a,a,\n1,2,3,4\n")
    assert document.text == "a: 1; a (2): 2; column 3: 3; more: 4"


def test_empty_cells_are_left_out(tmp_path: Path) -> None:
    """A sparse table does not fill chunks with names of nothing."""
    assert read(tmp_path, b"a,b,c\n1,,3\n,,\n").text == "a: 1; c: 3"


def test_another_encoding_is_recognised(tmp_path: Path) -> None:
    """A table saved by an old spreadsheet reads right."""
    data = "Stadt;Größe\nMünchen;groß\n".encode("cp1252")
    assert read(tmp_path, data).text == "Stadt: München; Größe: groß"


def test_a_header_alone_is_text(tmp_path: Path) -> None:
    """A table without rows is read as its header."""
    assert read(tmp_path, b"name,age\n").text == "name | age"


def test_a_quote_that_never_ends_is_damage(tmp_path: Path) -> None:
    """A table that is swallowed by one cell is refused."""
    with pytest.raises(DocumentUnreadable, match="whole table"):
        read(tmp_path, b'a,b\n"x,' + b"y" * 200_000)
