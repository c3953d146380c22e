"""Chunks of whole sentences: as many as fit, or up to where the subject changes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np

from embeddings.base import Embedder, Vector
from knowledge.chunk.borders import SENTENCE, Span, borders, fences
from knowledge.chunk.structure import MAX_CHARACTERS, blocks
from knowledge.chunk.structure import spans as structure_spans

WINDOW = 2  # sentences on each side of a place that are compared
LEAST_SHARE = 4  # a chunk has at least one part in so many of a chunk's tokens


def sentences(
    text: str, embedder: Embedder, *, max_tokens: int, whole: Sequence[Span] = ()
) -> list[Span]:
    """Return the sentences of a text, in order; together they are the text.

    A table or a block of code that fits is one. What has more than max_tokens is cut in pieces.
    """
    whole = sorted([*fences(text), *whole])
    found: list[Span] = []
    for start, stop in blocks(text, whole):
        block = text[start:stop]
        inside = [(first - start, last - start) for first, last in whole if start <= first < stop]
        ends = [border.at for border in borders(block, inside) if border.rank >= SENTENCE]
        first = 0
        for last in dict.fromkeys([*ends, len(block)]):
            long = last - first > MAX_CHARACTERS
            if long or embedder.count_tokens(block[first:last]) > max_tokens:
                pieces = structure_spans(
                    block[first:last], embedder, max_tokens=max_tokens, overlap_tokens=0
                )
                found += [(start + first + a, start + first + b) for a, b in pieces]
            else:
                found.append((start + first, start + last))
            first = last
    return found


def packed(
    text: str, units: Sequence[Span], embedder: Embedder, *, max_tokens: int, overlap_tokens: int
) -> Iterator[Span]:
    """Yield chunks of as many sentences as fit; each repeats the last ones of the one before."""
    sizes = [embedder.count_tokens(text[start:stop]) for start, stop in units]
    first = done = 0
    while done < len(units):
        last = _fitting(text, units, sizes, embedder, first, max_tokens)
        # What is repeated leaves room for something new, or is not repeated.
        if last <= done:
            first = done
            last = _fitting(text, units, sizes, embedder, first, max_tokens)
        yield units[first][0], units[last - 1][1]
        first = done = last
        repeated = 0
        while first > 0 and done < len(units) and repeated + sizes[first - 1] <= overlap_tokens:
            first -= 1
            repeated += sizes[first]


async def likeness(text: str, units: Sequence[Span], embedder: Embedder) -> list[float]:
    """Return how alike the sentences on both sides of each border between two are: a cosine.

    Each sentence is embedded once, which about doubles what ingesting a text costs.
    """
    vectors = await embedder.passages([text[start:stop] for start, stop in units])
    return [
        _cosine(
            vectors[max(0, place - WINDOW) : place].sum(axis=0),
            vectors[place : place + WINDOW].sum(axis=0),
        )
        for place in range(1, len(units))
    ]


def split(
    text: str,
    units: Sequence[Span],
    alike: Sequence[float],
    embedder: Embedder,
    *,
    max_tokens: int,
) -> Iterator[Span]:
    """Yield chunks that end where the subject changes most; they do not overlap.

    alike: of `likeness`. Of all places where a chunk could end, once it has a quarter of its
    tokens, the one is taken where the neighbours are least alike. A rest that fits is one chunk.
    """
    sizes = [embedder.count_tokens(text[start:stop]) for start, stop in units]
    first = 0
    while first < len(units):
        last = _fitting(text, units, sizes, embedder, first, max_tokens)
        if last < len(units):
            totals = list(accumulate(sizes[first:last]))
            least = first + 1 + bisect_left(totals, max_tokens / LEAST_SHARE)
            places = range(min(least, last), last + 1)
            last = min(places, key=lambda place: alike[place - 1])
        yield units[first][0], units[last - 1][1]
        first = last


def _fitting(
    text: str,
    units: Sequence[Span],
    sizes: Sequence[int],
    embedder: Embedder,
    first: int,
    max_tokens: int,
) -> int:
    """Return the end of the sentences from `first` that fit together: one at least."""
    last, total = first, 0
    while last < len(units) and total + sizes[last] <= max_tokens:
        if units[last][1] - units[first][0] > MAX_CHARACTERS and last > first:
            break
        total += sizes[last]
        last += 1
    last = max(last, first + 1)
    # Words that meet at a border may count one more together than apart.
    while last > first + 1 and (
        embedder.count_tokens(text[units[first][0] : units[last - 1][1]]) > max_tokens
    ):
        last -= 1
    return last


def _cosine(left: Vector, right: Vector) -> float:
    length = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return float(left @ right) / max(length, 1e-9)
