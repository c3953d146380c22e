"""Tables on a terminal: ingestions, statistics, and how a search came to its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from core.turn import Passage
from knowledge.console import printable
from knowledge.ingestions import Ingestion
from knowledge.stats import Stats

NOTHING = "–"


def show_ingestions(found: Sequence[Ingestion]) -> None:
    """Print ingestions, with what went wrong."""
    table = _table("state", "tries", "ingestion", "document")
    for one in found:
        name = printable(one.shown)
        if one.code:
            name += f"\n{one.code}: {printable(one.message or '')}"
        table.add_row(one.state, str(one.attempts), str(one.ingestion_id), name)
    _print(table)


def show_stats(found: Stats) -> None:
    """Print the numbers of a knowledge base."""
    kinds = _table("media type", "language", "documents", "chunks", "tokens", "bytes", right=4)
    for kind in found.kinds:
        kinds.add_row(
            printable(kind.media_type),
            kind.language or NOTHING,
            *(f"{n:,}" for n in (kind.documents, kind.chunks, kind.tokens, kind.bytes)),
        )
    totals = (found.documents, found.chunks, found.tokens, found.bytes)
    kinds.add_row("all", "", *(f"{n:,}" for n in totals))
    _print(kinds)
    words, queue, asked = found.keywords, found.queue, found.ingestions
    numbers = _table("what", "number", right=1)
    for what, number in {
        "keyword segments": words.segments,
        "chunks packed in them": words.packed,
        "chunks not packed yet": words.fresh,
        "chunks gone, not yet out of them": words.dead,
        "answers in the cache": found.cached_answers,
        "documents waiting": asked.queued,
        "documents at work": asked.working,
        "documents parked": asked.parked,
        "jobs waiting, of all tenants": queue.todo,
        "jobs at work, of all tenants": queue.doing,
        "jobs failed, of all tenants": queue.failed,
        "seconds the oldest has waited": round(queue.lag_seconds),
    }.items():
        numbers.add_row(what, f"{number:,}")
    _print(numbers)
    sizes = _table("on disk, of all tenants", "kind", "megabytes", right=1)
    for size in found.sizes[:20]:
        sizes.add_row(size.name, size.kind, f"{size.bytes / 1e6:,.1f}")
    _print(sizes)


def ranks(passages: Sequence[Passage]) -> dict[str, dict[int, int]]:
    """Return for each score the place it gives each passage: key -> chunk_id -> rank from 1."""
    keys = dict.fromkeys(key for passage in passages for key in passage["scores"])
    found: dict[str, dict[int, int]] = {}
    for key in keys:
        having = [passage for passage in passages if key in passage["scores"]]
        having.sort(key=lambda passage: -passage["scores"][key])
        found[key] = {passage["chunk_id"]: rank for rank, passage in enumerate(having, 1)}
    return found


def show_explained(
    shown: Sequence[Passage],
    places: Mapping[str, Mapping[int, int]],
    milliseconds: Mapping[str, float],
) -> None:
    """Print what each stage gave to each passage, and how long the stages took."""
    table = _table("score", *places, "passage", right_first=1 + len(places))
    for passage in shown:
        cells = []
        for key, place in places.items():
            score, rank = passage["scores"].get(key), place.get(passage["chunk_id"])
            cells.append(NOTHING if score is None else f"{score:.3f} #{rank}")
        where = " · ".join(filter(None, (passage["title"], passage["section"])))
        text = printable(" ".join(passage["text"].split()))[:160]
        table.add_row(f"{passage['score']:.3f}", *cells, f"{printable(where)}\n{text}")
    _print(table)
    times = ", ".join(f"{stage} {value:.1f} ms" for stage, value in milliseconds.items())
    _console().print(times)


def _table(*columns: str, right: int = 0, right_first: int = 0) -> Table:
    """Return an empty table. right: so many columns at the end, right_first: at the beginning."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        to_the_right = number >= len(columns) - right or number < right_first
        table.add_column(
            column,
            justify="right" if to_the_right else "left",
            no_wrap=to_the_right,
            overflow="fold",
        )
    return table


def _print(table: Any) -> None:
    _console().print(table)


def _console() -> Console:
    return Console(markup=False, highlight=False)
