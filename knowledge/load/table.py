"""CSV and TSV: a row a paragraph, each value behind its column's name."""

from __future__ import annotations

import csv
import warnings
from itertools import islice
from pathlib import Path

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, name
from knowledge.load.text import assumed, decode

DELIMITERS = ",;\t|"
SAMPLE_CHARACTERS = 1 << 16


def load(path: Path, data: bytes) -> Document:
    """Return one part whose paragraphs are the rows; raises DocumentUnreadable.

    The first row names the columns. The chunker groups rows; because each carries the names,
    a row is understood wherever a group begins.
    """
    text, encoding = decode(data)
    delimiter = _delimiter(text, path)
    names = _names(text, delimiter)
    with warnings.catch_warnings():
        # The package announces its retirement at import; docs/decisions/0005 says what follows.
        warnings.simplefilter("ignore", DeprecationWarning)
        from langchain_community.document_loaders.csv_loader import CSVLoader

    # Our own names: the reader would keep only the last of two columns of one name.
    arguments = {"delimiter": delimiter, "fieldnames": names, "restkey": "more", "restval": ""}
    try:
        loaded = CSVLoader(path, encoding=encoding, csv_args=arguments).lazy_load()
        empty = {f"{column}:" for column in names}
        rows = [_row(row.page_content, empty) for row in islice(loaded, 1, None)]
    except RuntimeError as error:  # what the loader makes of any error
        raise DocumentUnreadable(f"It is not a whole table: {error.__cause__}") from error
    rows = [row for row in rows if row] or [" | ".join(names)]
    return Document(
        title=name(path.stem),
        media_type="text/tab-separated-values" if delimiter == "\t" else "text/csv",
        parts=(Part("\n\n".join(rows), records=True, table=True),),
        bytes=len(data),
        metadata={"rows": len(rows), "columns": names} | assumed(encoding),
    )


def _delimiter(text: str, path: Path) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    try:
        return csv.Sniffer().sniff(text[:SAMPLE_CHARACTERS], DELIMITERS).delimiter
    except csv.Error:
        return ","


def _names(text: str, delimiter: str) -> list[str]:
    """Return the first row, its empty and repeated names made distinct."""
    try:
        first = next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error as error:
        raise DocumentUnreadable(f"It is not a whole table: {error}") from error
    names: list[str] = []
    for index, cell in enumerate(first, 1):
        wanted = name(cell) or f"column {index}"
        names.append(wanted if wanted not in names else f"{wanted} ({index})")
    return names


def _row(content: str, empty: set[str]) -> str:
    """Return the loader's lines as one, without those of empty cells."""
    lines = (line.strip() for line in scrub(content).splitlines())
    return "; ".join(line for line in lines if line and line not in empty)
