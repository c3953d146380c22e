"""The packed forms of a keyword segment: who is in it, how long they are, where a lexeme occurs.

A segment numbers up to 65 536 chunks from 0, in the order of their ids, so that a number takes
two bytes and the scores of a segment fit into a processor's cache. All integers little-endian.

    ids      runs of (number u2, chunk_id i8): from this number on, ids count up from this one
    lengths  one u2 a chunk, or u4 where one is longer than 65 535 lexemes
    dead     one bit a chunk, lowest first
    packed   sparse: numbers u2, lengths as above, counts u1, one array after the other;
             dense: one count u1 for every number, 0 where the lexeme is missing

A count fits into a byte: Postgres keeps at most 255 positions of a lexeme.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CAPACITY = 1 << 16  # chunks in a segment

RUN = np.dtype([("number", "<u2"), ("chunk_id", "<i8")])
_DENSE = 4  # a lexeme of every fourth chunk is smaller as one byte a chunk than as five a posting

Ids = NDArray[np.int64]
Numbers = NDArray[np.uint16]
Counts = NDArray[np.uint8]
Lengths = NDArray[Any]  # u2 or u4
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Runs:
    """The chunk ids of a segment; most are neighbours, so there are few runs."""

    runs: NDArray[np.void]  # of RUN
    chunks: int

    @classmethod
    def unpack(cls, packed: bytes, chunks: int) -> Runs:
        """Read what `pack_ids` wrote."""
        return cls(np.frombuffer(packed, RUN), chunks)

    def ids(self, numbers: NDArray[Any]) -> Ids:
        """Return the ids of chunks by number."""
        run = np.searchsorted(self.runs["number"], numbers, "right") - 1
        ids: Ids = self.runs["chunk_id"][run] + (numbers - self.runs["number"][run])
        return ids

    def numbers(self, ids: Ids) -> NDArray[np.int64]:
        """Return the numbers of those chunks that are in the segment."""
        run = np.searchsorted(self.runs["chunk_id"], ids, "right") - 1
        ids, run = ids[run >= 0], run[run >= 0]
        number = self.runs["number"][run] + (ids - self.runs["chunk_id"][run])
        ends = np.append(self.runs["number"][1:].astype(np.int64), self.chunks)
        found: NDArray[np.int64] = number[number < ends[run]]
        return found


class Postings(NamedTuple):
    """Where a lexeme occurs in a segment, and how often."""

    numbers: Numbers | None  # None: dense, one count for every number
    counts: Counts
    lengths: Lengths | None  # of these chunks; None when dense


class Packed(NamedTuple):
    """A lexeme's row of a segment."""

    lexeme: str
    chunks: int
    dense: bool
    packed: bytes


def pack_ids(ids: Ids) -> bytes:
    """Pack ids, which ascend."""
    starts = np.flatnonzero(np.diff(ids, prepend=ids[0] - 2) != 1)
    runs = np.empty(len(starts), RUN)
    runs["number"], runs["chunk_id"] = starts, ids[starts]
    return runs.tobytes()


def pack_lengths(lengths: NDArray[np.int64]) -> Lengths:
    """Return lengths in as few bytes as the longest needs."""
    return lengths.astype("<u2" if lengths.max(initial=0) < 1 << 16 else "<u4")


def unpack_lengths(packed: bytes, chunks: int) -> Lengths:
    """Read the bytes of `pack_lengths`."""
    return np.frombuffer(packed, f"<u{len(packed) // chunks}")


def pack_mask(mask: Mask) -> bytes:
    """Pack a mask, one bit a chunk."""
    return np.packbits(mask, bitorder="little").tobytes()


def unpack_mask(packed: bytes | None, chunks: int) -> Mask | None:
    """Read what `pack_mask` wrote; None where no chunk is dead."""
    if packed is None:
        return None
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=chunks, bitorder="little")
    return bits.view(np.bool_)


def pack(
    lexemes: list[str],
    codes: NDArray[np.int32],
    numbers: Numbers,
    counts: Counts,
    lengths: Lengths,
) -> Iterator[Packed]:
    """Yield the rows of a segment.

    codes, numbers, counts: one of each a posting, in any order; a code is an index into
    `lexemes`, and (code, number) occurs once. lengths: one a chunk of the segment.
    """
    order = np.argsort(codes.astype(np.int64) << 16 | numbers, kind="stable")
    codes, numbers, counts = codes[order], numbers[order], counts[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(codes)]):
        own, often = numbers[start:end], counts[start:end]
        dense = (end - start) * _DENSE >= len(lengths)
        if dense:
            row = np.zeros(len(lengths), np.uint8)
            row[own] = often
            packed = row.tobytes()
        else:
            packed = own.tobytes() + lengths[own].tobytes() + often.tobytes()
        yield Packed(lexemes[codes[start]], end - start, dense, packed)


def unpack(packed: bytes, chunks: int, *, dense: bool) -> Postings:
    """Read a row of `pack`; chunks: how many postings it holds."""
    if dense:
        return Postings(None, np.frombuffer(packed, np.uint8), None)
    width = len(packed) // chunks - 3
    return Postings(
        np.frombuffer(packed, "<u2", chunks),
        np.frombuffer(packed, np.uint8, chunks, (2 + width) * chunks),
        np.frombuffer(packed, f"<u{width}", chunks, 2 * chunks),
    )
