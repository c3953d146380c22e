"""Chunks of whole paragraphs, cut where a reader would pause."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from embeddings.base import Embedder
from knowledge.chunk.borders import ANYWHERE, PARAGRAPH, SENTENCE, Border, Span, borders, fences

MAX_CHARACTERS = 4000  # of a chunk: a tokenizer may call a megabyte without spaces one token
BLOCK_CHARACTERS = 50_000  # tokenized at a time: memory stays bounded, ~150 bytes a token
SCRAP_SHARE = 8  # a chunk has at least one part in so many of its tokens, where it can


def spans(
    text: str,
    embedder: Embedder,
    *,
    max_tokens: int,
    overlap_tokens: int,
    whole: Sequence[Span] = (),
) -> Iterator[Span]:
    """Yield [start, stop) of each chunk; together they cover the text, and overlap.

    Each has at most max_tokens tokens by itself. overlap_tokens: at most max_tokens // 4.
    whole: what must not be torn, such as a table, and is small enough for that.
    """
    whole = sorted([*fences(text), *whole])
    for start, stop in blocks(text, whole):
        inside = [(first - start, last - start) for first, last in whole if start <= first < stop]
        block = _Block(text[start:stop], embedder, max_tokens, overlap_tokens, inside)
        for first, last in block.spans():
            yield start + first, start + last


def blocks(text: str, whole: Sequence[Span]) -> Iterator[Span]:
    """Cut a very long text at paragraphs, or else lines, or else words."""
    start = 0
    while len(text) - start > BLOCK_CHARACTERS:
        half, end = start + BLOCK_CHARACTERS // 2, start + BLOCK_CHARACTERS
        cuts = (text.rfind(mark, half, end) + len(mark) for mark in ("\n\n", "\n", " "))
        stop = next((cut for cut in cuts if cut > half), end)
        # What is longer than half a block fits into no chunk, and is torn anyway.
        stop = next((first for first, last in whole if half < first < stop < last), stop)
        yield start, stop
        start = stop
    yield start, len(text)


class _Block:
    """A text whose tokens and borders are known."""

    def __init__(
        self,
        text: str,
        embedder: Embedder,
        max_tokens: int,
        overlap_tokens: int,
        whole: Sequence[Span],
    ) -> None:
        self._text = text
        self._count: Callable[[str], int] = embedder.count_tokens
        self._max = max_tokens
        self._overlap = overlap_tokens
        self._starts = [start for start, _ in embedder.offsets(text)]
        self._whole = whole
        self._borders = borders(text, whole)
        self._positions = [border.at for border in self._borders]

    def spans(self) -> Iterator[tuple[int, int]]:
        start = covered = 0
        while True:
            cut = self._cut(start, covered)
            yield start, cut.at
            if cut.at >= len(self._text):
                return
            start, covered = self._next_start(start, cut), cut.at

    def _cut(self, start: int, covered: int) -> Border:
        """Return where the chunk that begins at `start` ends: after `covered`.

        Whole paragraphs, as many as fit. One that does not fit is cut at its sentences, and its
        pieces are not filled up with what comes before or after it: a chunk about two things
        is found for neither.
        """
        first = bisect_left(self._starts, start)
        end = min(self._start_of(first + self._max), start + MAX_CHARACTERS)
        ends = self._paragraph_ends(covered + 1, end)
        inside = covered > 0 and self._rank_at(covered) < PARAGRAPH
        if inside and ends:
            return self._checked(start, covered, ends[0])
        for block, block_end in self._whole:
            if max(start, covered) < block < end < block_end and self._fits(block, block_end):
                return self._checked(start, covered, Border(block, PARAGRAPH))
        smallest = self._start_of(first + self._max // SCRAP_SHARE)
        if ends and ends[-1].at >= min(smallest, len(self._text)):
            return self._checked(start, covered, ends[-1])
        # A rest for two chunks is cut near its middle, so that none of them is a scrap.
        after = self._paragraph_ends(end, len(self._text))
        left = bisect_left(self._starts, after[0].at if after else len(self._text)) - first
        two = left <= 2 * self._max
        target = self._start_of(first + left // 2) if two else end
        low = self._start_of(first + (left // 4 if two else self._max // 2))
        low = max(min(low, start + MAX_CHARACTERS // 2), covered + 1)
        found = self._between(low, end)
        best = max(found, key=lambda b: (b.rank, -abs(b.at - target)), default=None)
        return self._checked(start, covered, best or Border(end, ANYWHERE))

    def _paragraph_ends(self, low: int, high: int) -> list[Border]:
        """Return the ends of paragraphs from low to high, the end of the text among them."""
        found = [border for border in self._between(low, high) if border.rank == PARAGRAPH]
        text_end = len(self._text)
        if high >= text_end and (not found or found[-1].at < text_end):
            found.append(Border(text_end, PARAGRAPH))
        return found

    def _rank_at(self, at: int) -> int:
        index = bisect_left(self._positions, at)
        known = index < len(self._positions) and self._positions[index] == at
        return self._borders[index].rank if known else ANYWHERE

    def _checked(self, start: int, covered: int, cut: Border) -> Border:
        """Move a cut forward until the chunk fits: half a word may count more than its share."""
        while not self._fits(start, cut.at) and cut.at > covered + 1:
            cut = Border(max(covered + 1, start + (cut.at - start) * 3 // 4), ANYWHERE)
        return cut

    def _fits(self, start: int, stop: int) -> bool:
        return self._count(self._text[start:stop]) <= self._max

    def _next_start(self, start: int, cut: Border) -> int:
        """Return where the next chunk begins: some whole sentences before the cut, if it can."""
        if not self._overlap or cut.rank == PARAGRAPH:
            return cut.at
        token = bisect_left(self._starts, cut.at)
        earliest = max(
            self._start_of(token - self._overlap), cut.at - MAX_CHARACTERS // 4, start + 1
        )
        found = self._between(earliest, cut.at - 1)
        whole = [border for border in found if border.rank >= SENTENCE]
        if not whole and cut.rank < SENTENCE:
            whole = found  # inside a long sentence words are repeated: better than none
        return whole[0].at if whole else cut.at

    def _start_of(self, token: int) -> int:
        return self._starts[token] if token < len(self._starts) else len(self._text)

    def _between(self, low: int, high: int) -> list[Border]:
        first = bisect_left(self._positions, low)
        return self._borders[first : bisect_left(self._positions, high + 1)]
