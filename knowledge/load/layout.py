"""From pieces of lines to the order in which a reader reads them: columns, paragraphs, tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from statistics import median

from knowledge.load.pieces import Box, Piece

Run = list[Piece]
"""Pieces that are read one after the other."""

MIN_COLUMN_LINES = 5
MIN_COLUMN_CHARACTERS = 18  # of the median line: shorter ones are labels and numbers of a table
MIN_GUTTER = 6.0  # points
MAX_CROSSING_SHARE = 0.35  # of the pieces: titles, abstracts, figures over both columns
MAX_COLUMNS_DEPTH = 3  # two cuts make four columns
CANDIDATES = 8
PARAGRAPH_PITCH = 1.35  # of the usual distance of two lines
MIN_INDENT, MAX_INDENT = 6.0, 50.0  # points, of a paragraph's first line
SENTENCE_END = re.compile(r"[.!?:…][\"'”’»)\]]*$")
MIN_TABLE_ROWS = 3
MAX_TABLE_COLUMNS = 15
SAME = 3.0  # points: the ends of two rules of one table


def runs(pieces: Sequence[Piece], depth: int = MAX_COLUMNS_DEPTH) -> list[Run]:
    """Return the pieces of a page in reading order, a run for each column between two titles.

    Where there are no columns the order of the file stands: most programs write text as it is
    read, and sorting by height would tear what they knew about.
    """
    gutter = _gutter(pieces) if depth else None
    if gutter is None:
        return [sorted(pieces, key=lambda piece: piece.line)] if pieces else []
    found: list[Run] = []
    band: list[Piece] = []

    def flush() -> None:
        for side in (_left, _right):
            found.extend(runs([piece for piece in band if side(piece, gutter)], depth - 1))
        band.clear()

    across: Run = []
    for piece in sorted(pieces, key=lambda piece: -piece.middle):
        if _left(piece, gutter) or _right(piece, gutter):
            if across:
                found.append(sorted(across, key=lambda piece: piece.line))
                across = []
            band.append(piece)
        else:
            flush()
            across.append(piece)
    if across:
        found.append(sorted(across, key=lambda piece: piece.line))
    flush()
    return found


def lines(run: Run) -> Iterator[tuple[str, bool]]:
    """Yield each line of a run, and whether a paragraph begins with it."""
    rows = [list(row) for _, row in groupby(run, key=lambda piece: piece.line)]
    pitches = [a[0].middle - b[0].middle for a, b in pairwise(rows)]
    usual = median([pitch for pitch in pitches if pitch > 1] or [0])
    left = min(piece.box[0] for piece in run)
    before = ""
    for index, row in enumerate(rows):
        text = " ".join(piece.text.strip() if len(row) > 1 else piece.text for piece in row)
        begins = False
        if index:
            indent, above = row[0].box[0] - left, rows[index - 1][0].box[0] - left
            begins = usual > 0 and pitches[index - 1] > PARAGRAPH_PITCH * usual
            begins = begins or (
                MIN_INDENT < indent < MAX_INDENT
                and above < MIN_INDENT / 2
                and SENTENCE_END.search(before) is not None
            )
        yield text, begins
        before = text


def ruled(pieces: Sequence[Piece], rules: Sequence[Box]) -> list[tuple[Box, list[list[str]]]]:
    """Return the tables that stand between horizontal lines only: (where, rows).

    Such a table has a line above, one below, and mostly one under its head, all of one width.
    """
    found = []
    groups: dict[tuple[int, int], list[Box]] = {}
    for rule in rules:
        key = (round(rule[0] / SAME), round(rule[2] / SAME))
        groups.setdefault(key, []).append(rule)
    for group in groups.values():
        if len(group) < 3:
            continue
        box = (group[0][0] - SAME, group[-1][1], group[0][2] + SAME, group[0][3])
        rows = _aligned([piece for piece in pieces if inside(piece, box)])
        if rows:
            found.append((box, rows))
    return found


def inside(piece: Piece, box: Box) -> bool:
    """True when the middle of a piece lies in a box."""
    left, bottom, right, top = box
    return left <= (piece.box[0] + piece.box[2]) / 2 <= right and bottom <= piece.middle <= top


def with_table(pieces: Sequence[Piece], box: Box, rows: Sequence[Sequence[str]]) -> list[Piece]:
    """Return the pieces with a table in place of those that it consists of."""
    covered = [piece for piece in pieces if inside(piece, box)]
    above = [piece for piece in pieces if piece.middle > box[3]]
    line = min((p.line for p in covered), default=max((p.line for p in above), default=0))
    table = Piece("", box, line, tuple(tuple(row) for row in rows))
    return [piece for piece in pieces if not inside(piece, box)] + [table]


def _aligned(pieces: list[Piece]) -> list[list[str]]:
    """Return rows of cells, where pieces stand under each other; nothing when they do not."""
    columns: list[list[float]] = []
    for piece in sorted(pieces, key=lambda piece: piece.box[0]):
        if columns and piece.box[0] < columns[-1][1]:
            columns[-1][1] = max(columns[-1][1], piece.box[2])
        else:
            columns.append([piece.box[0], piece.box[2]])
    rows: list[list[str]] = []
    height = 0.0
    for piece in sorted(pieces, key=lambda piece: -piece.middle):
        if not rows or height - piece.middle > (piece.box[3] - piece.box[1]) / 2:
            rows.append([""] * len(columns))
            height = piece.middle
        column = next(i for i, (_, right) in enumerate(columns) if piece.box[0] < right)
        rows[-1][column] = f"{rows[-1][column]} {piece.text}".strip()
    full = sum(sum(map(bool, row)) > 1 for row in rows)
    fits = 1 < len(columns) <= MAX_TABLE_COLUMNS and len(rows) >= MIN_TABLE_ROWS
    return rows if fits and full * 2 > len(rows) else []


def _gutter(pieces: Sequence[Piece]) -> float | None:
    """Return where the right column begins, or None when the page has no two of them."""
    texts = [piece for piece in pieces if not piece.rows]
    if len(texts) < 2 * MIN_COLUMN_LINES:
        return None
    left, right = min(p.box[0] for p in texts), max(p.box[2] for p in texts)
    fifth = (right - left) / 5
    starts = Counter(round(p.box[0]) for p in texts if left + fifth < p.box[0] < right - fifth)
    best: tuple[int, int, float] | None = None
    for start, _ in starts.most_common(CANDIDATES):
        gutter = start - 1.0
        ours = [p for p in texts if _left(p, gutter)]
        others = [p for p in texts if _right(p, gutter)]
        crossing = len(texts) - len(ours) - len(others)
        if crossing > MAX_CROSSING_SHARE * len(texts) or not (_prose(ours) and _prose(others)):
            continue
        if _beside(ours, others):
            rank = (crossing, -min(len(ours), len(others)), gutter)
            best = min(best, rank) if best else rank
    return best[2] if best else None


def _left(piece: Piece, gutter: float) -> bool:
    return piece.box[2] <= gutter - MIN_GUTTER + 1


def _right(piece: Piece, gutter: float) -> bool:
    return piece.box[0] >= gutter


def _prose(column: list[Piece]) -> bool:
    enough = len(column) >= MIN_COLUMN_LINES
    return enough and median(len(p.text) for p in column) >= MIN_COLUMN_CHARACTERS


def _beside(ours: list[Piece], others: list[Piece]) -> bool:
    """True when two columns stand beside each other for at least half of the shorter one."""
    spans = [(min(p.box[1] for p in c), max(p.box[3] for p in c)) for c in (ours, others)]
    common = min(top for _, top in spans) - max(bottom for bottom, _ in spans)
    return common * 2 >= min(top - bottom for bottom, top in spans)
