"""Tables as text: a row a line, each cell named by its column, so that a row speaks for itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

MIN_COLUMNS = 3  # two columns without a marked header are as often names and values


def table(rows: Sequence[Sequence[str]], *, header: bool) -> str:
    """Return the rows as lines.

    header: whether the table says that its first row names the columns; without a word,
    the first row of three and more full columns is taken for names.
    """
    rows = [cells for cells in ([_flat(cell) for cell in row] for row in rows) if any(cells)]
    if not rows:
        return ""
    first = rows[0]
    names = header or (len(first) >= MIN_COLUMNS and all(first) and len(set(first)) == len(first))
    if not names or len(rows) == 1:
        return "\n".join(" | ".join(cell for cell in row if cell) for row in rows)
    return "\n".join(_named(first, row) for row in rows[1:])


def _named(names: Sequence[str], cells: Sequence[str]) -> str:
    pairs = zip_longest(names, cells, fillvalue="")
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _flat(cell: str) -> str:
    return " ".join(cell.split())
