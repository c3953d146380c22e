"""Tables as text: a row a paragraph, each cell named by its column, so it speaks for itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

MIN_COLUMNS = 3  # two columns without a marked header are as often names and values


def table(rows: Sequence[Sequence[str]], *, header: bool) -> str:
    """Return the rows, a blank line apart: a paragraph is what chunks and answers keep whole.

    header: whether the table says that its first row names the columns; without a word,
    the first row of three and more full columns is taken for names.
    """
    rows = [cells for cells in ([_flat(cell) for cell in row] for row in rows) if any(cells)]
    if not rows:
        return ""
    first = rows[0]
    names = header or (len(first) >= MIN_COLUMNS and all(first) and len(set(first)) == len(first))
    if not names or len(rows) == 1:
        return "\n\n".join(" | ".join(cell for cell in row if cell) for row in rows)
    return "\n\n".join(named(first, row) for row in rows[1:])


def is_table(rows: Sequence[Sequence[str]]) -> bool:
    """True for a real table; a single row or a single column is how pages are laid out."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    wide = any(sum(bool(cell.strip()) for cell in row) > 1 for row in filled)
    return len(filled) > 1 and wide


def named(names: Sequence[str], cells: Sequence[str]) -> str:
    """Return one row as `name: cell; name: cell`, empty cells left out."""
    pairs = zip_longest(names, cells, fillvalue="")
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _flat(cell: str) -> str:
    return " ".join(cell.split())
