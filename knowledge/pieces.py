"""Takes segments and fresh chunks apart and puts them together as new segments: no database.

Runs in a thread beside the event loop: numpy over arrays of all postings at once, because a
segment has a hundred thousand lexemes, most of them in one chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from knowledge.bm25 import Segment
from knowledge.postings import CAPACITY, Ids, Packed, pack, pack_lengths, unpack


@dataclass(frozen=True, slots=True)
class Piece:
    """Chunks on their way into a new segment."""

    ids: Ids
    lengths: NDArray[np.int64]
    entries: NDArray[np.int64]  # of fresh rows; 0 for what was packed before
    codes: NDArray[np.int32]  # one a posting, of lexemes
    places: NDArray[np.int64]  # one a posting, indexes into `ids`
    counts: NDArray[np.uint8]


class Lexemes(dict[str, int]):
    """Gives every lexeme a code."""

    def __missing__(self, lexeme: str) -> int:
        code = self[lexeme] = len(self)
        return code


def of_fresh(rows: Sequence[tuple[Any, ...]], lexemes: Lexemes) -> Piece:
    """Return fresh chunks; rows: (entry_id, chunk_id, words, lexemes as JSON)."""
    codes: list[int] = []
    counts: list[int] = []
    sizes = []
    for _, _, _, text in rows:
        found = orjson.loads(text)
        codes += map(lexemes.__getitem__, found)
        counts += found.values()
        sizes.append(len(found))
    return Piece(
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int64),
        np.array([row[0] for row in rows], np.int64),
        np.array(codes, np.int32),
        np.repeat(np.arange(len(rows)), sizes),
        np.array(counts, np.uint8),
    )


def of_segment(segment: Segment, rows: Sequence[tuple[Any, ...]], lexemes: Lexemes) -> Piece:
    """Return the living chunks of a segment; rows: (lexeme, chunks, dense, packed)."""
    living = np.ones(segment.chunks, np.bool_) if segment.dead is None else ~segment.dead
    places = np.cumsum(living) - 1  # number -> index among the living
    parts: list[tuple[NDArray[Any], NDArray[Any]]] = []
    names: list[int] = []
    for lexeme, chunks, dense, packed in rows:
        numbers, counts, _ = unpack(packed, chunks, dense=dense)
        if numbers is None:
            numbers = np.flatnonzero(counts).astype(np.uint16)
            counts = counts[numbers]
        names.append(lexemes[lexeme])
        parts.append((numbers, counts))
    sizes = [len(counts) for _, counts in parts]
    codes = np.repeat(np.array(names, np.int32), sizes)
    numbers = np.concatenate([numbers for numbers, _ in parts] or [np.empty(0, np.uint16)])
    counts = np.concatenate([counts for _, counts in parts] or [np.empty(0, np.uint8)])
    kept = living[numbers]
    assert segment.lengths is not None
    return Piece(
        segment.runs.ids(np.flatnonzero(living)),
        segment.lengths[living].astype(np.int64),
        np.zeros(int(living.sum()), np.int64),
        codes[kept],
        places[numbers[kept]],
        counts[kept],
    )


def join(pieces: Sequence[Piece]) -> tuple[Piece, list[tuple[int, int]]]:
    """Return one piece in the order of ids, and from where to where its segments go."""
    offsets = np.cumsum([0, *(len(piece.ids) for piece in pieces)])
    ids = np.concatenate([piece.ids for piece in pieces])
    order = np.argsort(ids)
    place = np.empty(len(ids), np.int64)
    place[order] = np.arange(len(ids))
    whole = Piece(
        ids[order],
        np.concatenate([piece.lengths for piece in pieces])[order],
        np.concatenate([piece.entries for piece in pieces])[order],
        np.concatenate([piece.codes for piece in pieces]),
        np.concatenate(
            [place[piece.places + start] for piece, start in zip(pieces, offsets, strict=False)]
        ),
        np.concatenate([piece.counts for piece in pieces]),
    )
    bounds = np.linspace(0, len(ids), -(-len(ids) // CAPACITY) + 1).astype(int).tolist()
    return whole, list(pairwise(bounds))


def assemble(whole: Piece, own: slice, lexemes: list[str]) -> list[Packed]:
    """Return the rows of the segment that holds a part of the chunks."""
    inside = (whole.places >= own.start) & (whole.places < own.stop)
    numbers = (whole.places[inside] - own.start).astype(np.uint16)
    lengths = pack_lengths(whole.lengths[own])
    return list(pack(lexemes, whole.codes[inside], numbers, whole.counts[inside], lengths))
