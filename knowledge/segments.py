"""Packs fresh words into segments, and segments into larger ones.

A merge is one transaction and works on what no one else writes. Only at its very end it takes
the fresh rows over, for milliseconds and without waiting: what somebody is deleting at that
moment stays fresh, and is dead in the new segment. Killed at any time, it leaves nothing behind.

Segments of similar size are merged, `FANOUT` at a time, so that a chunk is rewritten as often as
the logarithm of the corpus; a full one is only rewritten to purge it of its dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from db.pool import Database
from db.sql import load
from knowledge.bm25 import Segment
from knowledge.pieces import Lexemes, Piece, assemble, join, of_fresh, of_segment
from knowledge.postings import (
    CAPACITY,
    Ids,
    Packed,
    Runs,
    pack_ids,
    pack_lengths,
    pack_mask,
    unpack_lengths,
    unpack_mask,
)

SQL = load(__file__)

LEAST = 512  # fresh chunks that are worth a segment; a search reads so many in 1 ms
BATCH = 16_384  # fresh chunks in one merge: half a minute's work at most, and bounded memory
FANOUT = 4  # segments of similar size that become one
FULL = CAPACITY // 2  # chunks; a merge of two such would have to be split again
DEAD = 0.25  # share of dead chunks from which on a segment is rewritten
_ROWS = 4096  # inserted by one statement

Conn = AsyncConnection[TupleRow]


class Merged(NamedTuple):
    """What was done."""

    chunks: int  # that were fresh and are packed now
    rewritten: int  # that were packed before
    buried: int  # tombstones that were worked off


NOTHING = Merged(0, 0, 0)


async def merge(database: Database, *, tenant_id: str, least: int = LEAST) -> Merged:
    """Pack what is fresh when there are `least` chunks of it; work off the tombstones.

    Call it after writing, or now and then: it is safe at any time, from any process, and cheap
    when there is nothing to do. While another process merges for the tenant it returns at once.
    Searches give the same results before, meanwhile and afterwards; they get faster.
    Raises DatabaseBusy or DatabaseUnavailable.
    """
    total = NOTHING
    while True:
        async with database.transaction(tenant_id) as conn:
            done = await _step(conn, tenant_id, least)
        total = Merged(*map(sum, zip(total, done, strict=True)))
        # Not "until nothing is fresh": what others are deleting stays so for as long as they do.
        if done.chunks < BATCH:
            return total


def choose(fresh: int, alive: Sequence[int], chunks: Sequence[int]) -> list[int]:
    """Return which segments to rewrite together with so many fresh chunks, by their index.

    alive: of the segments' chunks, those that are not dead.
    """
    rotten = [i for i, n in enumerate(alive) if chunks[i] - n > DEAD * chunks[i]]
    chosen, total = list[int](), fresh
    for i in sorted(rotten, key=lambda i: alive[i]):
        if not chosen or total + alive[i] <= CAPACITY:
            chosen.append(i)
            total += alive[i]
    while total:
        near = [
            i for i, n in enumerate(alive) if i not in chosen and n < FULL and n < FANOUT * total
        ]
        if len(near) < FANOUT - 1:
            break
        fitting = list[int]()
        for i in sorted(near, key=lambda i: alive[i]):
            if total + alive[i] <= CAPACITY:
                fitting.append(i)
                total += alive[i]
        if not fitting:
            break
        chosen += fitting
    return chosen


@dataclass(slots=True)
class _Stored:
    """A segment as it is stored, its tombstones worked in."""

    segment_id: int
    segment: Segment
    buried: int


async def _step(conn: Conn, tenant_id: str, least: int) -> Merged:
    """Pack one batch, if there is something to do."""
    key = {"tenant_id": tenant_id}
    if not await _one(conn, "try_lock", key):
        return NOTHING
    cursor = await conn.execute(SQL["pending"], {**key, "most": max(least, 1)})
    row = await cursor.fetchone()
    assert row is not None
    enough, graves = row[0] >= max(least, 1), row[1]
    if not enough and not graves:
        return NOTHING
    fresh = await _rows(conn, "fresh", {**key, "most": BATCH if enough else 0})
    tombstones = await _rows(conn, "tombstones", key)
    stored = await _segments(conn, key, np.array([chunk for _, chunk in tombstones], np.int64))
    chosen = choose(
        len(fresh), [s.segment.alive for s in stored], [s.segment.chunks for s in stored]
    )
    sources = [stored[i] for i in chosen]
    lexemes = Lexemes()
    pieces = [await asyncio.to_thread(of_fresh, fresh, lexemes)] if fresh else []
    for source in sources:
        rows = await _rows(conn, "postings", {**key, "segment_id": source.segment_id})
        pieces.append(await asyncio.to_thread(of_segment, source.segment, rows, lexemes))
    new = await _write(conn, key, pieces, list(lexemes))
    for index, one in enumerate(stored):
        if one.buried and index not in chosen:
            await _bury(conn, key, one)
    retired = {**key, "segment_ids": [source.segment_id for source in sources]}
    await conn.execute(SQL["unpack"], retired)
    await conn.execute(SQL["retire"], retired)
    graves_read = {**key, "entry_ids": [entry for entry, _ in tombstones]}
    await conn.execute(SQL["forget_tombstones"], graves_read)
    # From here on who deletes one of these chunks waits for us: nothing slow comes any more.
    entries = {**key, "entry_ids": [entry for entry, *_ in fresh]}
    taken = [entry for (entry,) in await _rows(conn, "take", entries)]
    for segment in new:
        await _publish(conn, key, segment, np.array([0, *taken], np.int64))
    return Merged(len(taken), sum(s.segment.alive for s in sources), len(tombstones))


async def _segments(conn: Conn, key: dict[str, Any], gone: Ids) -> list[_Stored]:
    """Return the segments, those chunks dead."""
    stored = []
    for segment_id, chunks, alive, words, ids, lengths, dead in await _rows(conn, "segments", key):
        segment = Segment(
            chunks,
            alive,
            words,
            Runs.unpack(ids, chunks),
            unpack_lengths(lengths, chunks),
            unpack_mask(dead, chunks),
        )
        segment.bury(gone)
        stored.append(_Stored(segment_id, segment, alive - segment.alive))
    return stored


@dataclass(slots=True)
class _New:
    """A segment whose postings are written."""

    segment_id: int
    ids: Ids
    lengths: NDArray[np.int64]
    entries: NDArray[np.int64]


async def _write(
    conn: Conn, key: dict[str, Any], pieces: Sequence[Piece], lexemes: list[str]
) -> list[_New]:
    """Write the postings of the pieces as segments of equal size, none above the capacity."""
    if not sum(len(piece.ids) for piece in pieces):
        return []
    whole, splits = await asyncio.to_thread(join, pieces)
    new = []
    for first, last in splits:
        segment_id = await _one(conn, "name", {})
        own = slice(first, last)
        packed = await asyncio.to_thread(assemble, whole, own, lexemes)
        for some in _batches(packed, _ROWS):
            await conn.execute(
                SQL["write"],
                {
                    **key,
                    "segment_id": segment_id,
                    "lexemes": [row.lexeme for row in some],
                    "chunks": [row.chunks for row in some],
                    "dense": [row.dense for row in some],
                    "packed": [row.packed for row in some],
                },
            )
        new.append(_New(segment_id, whole.ids[own], whole.lengths[own], whole.entries[own]))
    return new


async def _publish(conn: Conn, key: dict[str, Any], new: _New, taken: NDArray[np.int64]) -> None:
    dead = ~np.isin(new.entries, taken)
    await conn.execute(
        SQL["publish"],
        {
            **key,
            "segment_id": new.segment_id,
            "chunks": len(new.ids),
            "alive": int((~dead).sum()),
            "words": int(new.lengths[~dead].sum()),
            "ids": pack_ids(new.ids),
            "lengths": pack_lengths(new.lengths).tobytes(),
            "dead": pack_mask(dead) if dead.any() else None,
        },
    )


async def _bury(conn: Conn, key: dict[str, Any], stored: _Stored) -> None:
    segment = stored.segment
    assert segment.dead is not None
    await conn.execute(
        SQL["bury"],
        {
            **key,
            "segment_id": stored.segment_id,
            "alive": segment.alive,
            "words": segment.words,
            "dead": pack_mask(segment.dead),
        },
    )


async def _one(conn: Conn, name: str, parameters: dict[str, Any]) -> Any:
    row = await (await conn.execute(SQL[name], parameters)).fetchone()
    assert row is not None
    return row[0]


async def _rows(conn: Conn, name: str, parameters: dict[str, Any]) -> list[TupleRow]:
    return await (await conn.execute(SQL[name], parameters, binary=True)).fetchall()


def _batches(rows: list[Packed], size: int) -> Iterator[list[Packed]]:
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some
