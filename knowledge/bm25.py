"""Scores chunks by BM25, exactly: numbers in, numbers out, no database.

    score(chunk) = sum over the question's lexemes of
        ln(1 + (N - n + .5) / (n + .5)) * f / (f + k1 * (1 - b + b * length / average))

N chunks in all, n of them with the lexeme, f times in this one; lengths in lexemes.
Source: Robertson & Zaragoza 2009, in the form that Lucene computes since version 8.

A score does not depend on how chunks lie in segments, to the last bit: every posting is scored
by the same operations, and a chunk's words are added in the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from knowledge.postings import Ids, Lengths, Mask, Postings, Runs

K1, B = 1.2, 0.75  # Lucene's defaults

# Postings that no segment holds yet, as they come from Postgres.
FRESH = np.dtype([("chunk_id", ">i8"), ("count", ">i2"), ("length", ">i4")])

Scores = NDArray[np.float64]


class Best(NamedTuple):
    """Chunks in order: the best first, of equal ones that of the lower id."""

    ids: Ids
    scores: Scores


@dataclass(slots=True)
class Segment:
    """A packed segment, as far as a question needs it."""

    chunks: int
    alive: int
    words: int
    runs: Runs
    lengths: Lengths | None  # None unless a list is dense or chunks are to be buried
    dead: Mask | None
    lists: list[tuple[int, Postings]] = field(default_factory=list)  # (word, where)

    def bury(self, ids: Ids) -> None:
        """Take out those of the chunks that are in the segment."""
        numbers = np.unique(self.runs.numbers(ids))
        if self.dead is not None:
            numbers = numbers[~self.dead[numbers]]
        if not len(numbers):
            return
        assert self.lengths is not None
        self.dead = np.zeros(self.chunks, np.bool_) if self.dead is None else self.dead.copy()
        self.dead[numbers] = True
        self.alive -= len(numbers)
        self.words -= int(self.lengths[numbers].sum(dtype=np.int64))


@dataclass(slots=True)
class Corpus:
    """All that a question touches: segments, and postings of fresh chunks by word."""

    chunks: int = 0  # of the fresh ones
    words: int = 0
    segments: dict[int, Segment] = field(default_factory=dict)
    fresh: dict[int, NDArray[np.void]] = field(default_factory=dict)  # of FRESH


class Ranking:
    """The scores of all chunks of a corpus that share a word with the question."""

    def __init__(self, corpus: Corpus) -> None:
        """Score everything."""
        chunks = corpus.chunks + sum(segment.alive for segment in corpus.segments.values())
        words = corpus.words + sum(segment.words for segment in corpus.segments.values())
        self.chunks = chunks
        average = words / chunks if words else 1.0
        rarity = {
            word: float(np.log1p((chunks - n + 0.5) / (n + 0.5)))
            for word, n in _occurrences(corpus).items()
        }
        # Per part: a score for each number (0: no match), and which ids the numbers stand for.
        self._parts: list[tuple[Scores, Runs | Ids]] = [
            (_score(segment, rarity, average), segment.runs)
            for segment in corpus.segments.values()
            if segment.lists
        ]
        if corpus.fresh:
            self._parts.append(_score_fresh(corpus.fresh, rarity, average))

    def best(self, most: int) -> Best:
        """Return the best `most` chunks, fewer only when no more match."""
        floor = np.nextafter(0.0, 1.0)  # the lowest score that can still be among them
        found: list[tuple[Ids, Scores]] = []
        for scores, runs in self._parts:
            numbers = np.flatnonzero(scores >= floor)
            values = scores[numbers]
            if len(values) > most:
                floor = np.partition(values, -most)[-most]
                numbers, values = numbers[values >= floor], values[values >= floor]
            ids = runs.ids(numbers) if isinstance(runs, Runs) else runs[numbers]
            found.append((ids, values))
        if not found:
            return Best(np.empty(0, np.int64), np.empty(0))
        ids, values = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.lexsort((ids, -values))[:most]
        return Best(ids[order], values[order])

    def keep(self, ids: Ids) -> None:
        """Forget all chunks but these, which ascend."""
        parts: list[tuple[Scores, Runs | Ids]] = []
        for scores, runs in self._parts:
            numbers = (
                runs.numbers(ids)
                if isinstance(runs, Runs)
                else np.flatnonzero(np.isin(runs, ids, assume_unique=True))
            )
            kept = np.zeros_like(scores)
            kept[numbers] = scores[numbers]
            parts.append((kept, runs))
        self._parts = parts


def _occurrences(corpus: Corpus) -> dict[int, int]:
    """Return in how many living chunks each word occurs."""
    occurrences: dict[int, int] = defaultdict(int)
    for word, postings in corpus.fresh.items():
        occurrences[word] += len(postings)
    for segment in corpus.segments.values():
        for word, (numbers, counts, _) in segment.lists:
            if numbers is None:
                living = counts if segment.dead is None else counts[~segment.dead]
                occurrences[word] += int(np.count_nonzero(living))
            elif segment.dead is None:
                occurrences[word] += len(numbers)
            else:
                occurrences[word] += int(np.count_nonzero(~segment.dead[numbers]))
    return occurrences


def _score(segment: Segment, rarity: dict[int, float], average: float) -> Scores:
    """Return a score for each number: of all lists at once, as most are short."""
    lists = sorted(segment.lists, key=lambda item: item[0])
    columns = list(zip(*(_sparse(segment, postings) for _, postings in lists), strict=True))
    numbers, counts, lengths = map(np.concatenate, columns)
    rarities = np.repeat(
        [rarity[word] for word, _ in lists], [len(column) for column in columns[0]]
    )
    weights = _weights(counts, _norms(lengths, average), rarities)
    # Adds in the order given.
    scores = np.bincount(numbers, weights, segment.chunks).astype(np.float64, copy=False)
    if segment.dead is not None:
        scores[segment.dead] = 0
    return scores


def _sparse(
    segment: Segment, postings: Postings
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return numbers, counts and lengths of the chunks with a lexeme."""
    numbers, counts, lengths = postings
    if numbers is not None:
        assert lengths is not None
        return numbers, counts, lengths
    assert segment.lengths is not None
    places = np.flatnonzero(counts)
    return places, counts[places], segment.lengths[places]


def _score_fresh(
    lists: dict[int, NDArray[np.void]], rarity: dict[int, float], average: float
) -> tuple[Scores, Ids]:
    ids = np.unique(np.concatenate([postings["chunk_id"] for postings in lists.values()]))
    scores = np.zeros(len(ids))
    for word, postings in sorted(_items(lists)):
        where = np.searchsorted(ids, postings["chunk_id"])
        norms = _norms(postings["length"], average)
        scores[where] += _weights(postings["count"], norms, rarity[word])
    return scores, ids.astype(np.int64)


def _items(lists: dict[int, NDArray[np.void]]) -> Iterable[tuple[int, Any]]:
    return ((word, lists[word]) for word in lists)


def _norms(lengths: NDArray[Any], average: float) -> Scores:
    norms: Scores = lengths.astype(np.float64)
    norms *= B / average
    norms += 1 - B
    norms *= K1
    return norms


def _weights(counts: NDArray[Any], norms: Scores, rarity: float | Scores) -> Scores:
    often = counts.astype(np.float64)
    weights: Scores = often / (often + norms)
    weights *= rarity
    return weights
