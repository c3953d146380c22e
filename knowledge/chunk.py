"""Cut a document into chunks of so many tokens, where a reader would pause."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from embeddings.base import Embedder
from knowledge.load.document import Document, has_text
from knowledge.store import Chunk

# How good a place is for a cut: the ranks of the borders in a text.
ANYWHERE, WORD, LINE, SENTENCE, PARAGRAPH = range(5)

MAX_CHARACTERS = 4000  # of a chunk: a tokenizer may call a megabyte without spaces one token
BLOCK_CHARACTERS = 50_000  # tokenized at a time: memory stays bounded, ~150 bytes a token
SCRAP_SHARE = 8  # a chunk has at least one part in so many of its tokens, where it can
HEADING_SHARE = 4  # title and section may each take one part in so many of a chunk

PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")
LONG_LINE = re.compile(r"[^\n]{160}\n\s*")  # nobody wraps lines so wide: it is a paragraph
ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•|]|\d+[.)])[ \t])")
SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?![a-zà-öø-ÿ])|[。！？]+[”’」』）]*\s*")
ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|Rev|Gen|St|Jr|Sr|No|Nr|vs|etc|cf|e\.g|i\.e|Fig|Vol|pp?|ca))\.$"
)
SPACES = re.compile(r"\s+")
FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]*[ \t]*$\n?|\Z)", re.M | re.S)


def chunks(
    document: Document, embedder: Embedder, *, chunk_tokens: int, overlap_tokens: int
) -> tuple[str, list[Chunk]]:
    """Return the title as it is embedded, and the document's chunks in order.

    chunk_tokens: what a chunk has at most together with its title and section, because the three
    are embedded as one text. Every character that is not white space is in some chunk.
    No chunk crosses a heading or a page. Where a long paragraph is cut, the next chunk begins
    with the last sentences of the one before, at most overlap_tokens of them; records never.
    """
    share = chunk_tokens // HEADING_SHARE
    title = shorten(document.title, share, embedder)
    found: list[Chunk] = []
    for part in document.parts:
        section = shorten(part.section, share, embedder, keep_end=True)
        room = chunk_tokens - embedder.count_tokens(title) - embedder.count_tokens(section)
        overlap = 0 if part.records else min(overlap_tokens, room // 4)
        for start, stop in spans(part.text, embedder, max_tokens=room, overlap_tokens=overlap):
            text = _trimmed(part.text[start:stop])
            if has_text(text):
                tokens = embedder.count_tokens(text)
                found.append(Chunk(text, section, part.page, len(found), tokens))
    return title, found


def shorten(text: str, max_tokens: int, embedder: Embedder, *, keep_end: bool = False) -> str:
    """Return at most so many tokens of a title, or of the end of a section path."""
    offsets = embedder.offsets(text)
    if len(offsets) <= max_tokens:
        return text
    # One token is left for the ellipsis. A cut inside a word may count one or two more.
    for kept in range(max_tokens - 1, 0, -1):
        start, stop = offsets[-kept][0], offsets[kept - 1][1]
        short = "…" + text[start:] if keep_end else text[:stop] + "…"
        if embedder.count_tokens(short) <= max_tokens:
            return short
    return ""


def spans(
    text: str, embedder: Embedder, *, max_tokens: int, overlap_tokens: int
) -> Iterator[tuple[int, int]]:
    """Yield [start, stop) of each chunk; together they cover the text, and overlap.

    Each has at most max_tokens tokens by itself. overlap_tokens: at most max_tokens // 4.
    """
    for start, stop in _blocks(text):
        block = _Block(text[start:stop], embedder, max_tokens, overlap_tokens)
        for first, last in block.spans():
            yield start + first, start + last


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Cut a very long text at paragraphs, or else lines, or else words."""
    start = 0
    while len(text) - start > BLOCK_CHARACTERS:
        half, end = start + BLOCK_CHARACTERS // 2, start + BLOCK_CHARACTERS
        cuts = (text.rfind(mark, half, end) + len(mark) for mark in ("\n\n", "\n", " "))
        stop = next((cut for cut in cuts if cut > half), end)
        yield start, stop
        start = stop
    yield start, len(text)


@dataclass(frozen=True, slots=True)
class _Border:
    at: int  # a cut here leaves the white space in front of it
    rank: int


class _Block:
    """A text whose tokens and borders are known."""

    def __init__(self, text: str, embedder: Embedder, max_tokens: int, overlap_tokens: int) -> None:
        self._text = text
        self._count: Callable[[str], int] = embedder.count_tokens
        self._max = max_tokens
        self._overlap = overlap_tokens
        self._starts = [start for start, _ in embedder.offsets(text)]
        self._fences = [match.span() for match in FENCED.finditer(text)]
        self._borders = _borders(text, self._fences)
        self._positions = [border.at for border in self._borders]

    def spans(self) -> Iterator[tuple[int, int]]:
        start = covered = 0
        while True:
            cut = self._cut(start, covered)
            yield start, cut.at
            if cut.at >= len(self._text):
                return
            start, covered = self._next_start(start, cut), cut.at

    def _cut(self, start: int, covered: int) -> _Border:
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
        for fence, fence_end in self._fences:
            if max(start, covered) < fence < end < fence_end and self._fits(fence, fence_end):
                return self._checked(start, covered, _Border(fence, PARAGRAPH))
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
        return self._checked(start, covered, best or _Border(end, ANYWHERE))

    def _paragraph_ends(self, low: int, high: int) -> list[_Border]:
        """Return the ends of paragraphs from low to high, the end of the text among them."""
        found = [border for border in self._between(low, high) if border.rank == PARAGRAPH]
        text_end = len(self._text)
        if high >= text_end and (not found or found[-1].at < text_end):
            found.append(_Border(text_end, PARAGRAPH))
        return found

    def _rank_at(self, at: int) -> int:
        index = bisect_left(self._positions, at)
        known = index < len(self._positions) and self._positions[index] == at
        return self._borders[index].rank if known else ANYWHERE

    def _checked(self, start: int, covered: int, cut: _Border) -> _Border:
        """Move a cut forward until the chunk fits: half a word may count more than its share."""
        while not self._fits(start, cut.at) and cut.at > covered + 1:
            cut = _Border(max(covered + 1, start + (cut.at - start) * 3 // 4), ANYWHERE)
        return cut

    def _fits(self, start: int, stop: int) -> bool:
        return self._count(self._text[start:stop]) <= self._max

    def _next_start(self, start: int, cut: _Border) -> int:
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

    def _between(self, low: int, high: int) -> list[_Border]:
        first = bisect_left(self._positions, low)
        return self._borders[first : bisect_left(self._positions, high + 1)]


def _borders(text: str, fences: list[tuple[int, int]]) -> list[_Border]:
    """Return every place between two words, with its rank, in order."""
    ranks = {m.end(): LINE if "\n" in m[0] else WORD for m in SPACES.finditer(text)}
    for match in SENTENCE_END.finditer(text):
        if not ABBREVIATION.search(text, max(0, match.start() - 8), match.start() + 1):
            ranks[match.end()] = SENTENCE
    for match in ITEM.finditer(text):
        ranks[match.end()] = SENTENCE
    for match in LONG_LINE.finditer(text):
        ranks[match.end()] = PARAGRAPH
    for match in PARAGRAPH_END.finditer(text):
        ranks[match.end()] = PARAGRAPH
    for start, stop in fences:
        inside = [at for at in ranks if start < at < stop]
        for at in inside:
            ranks[at] = min(ranks[at], LINE)
        ranks[start] = ranks[stop] = PARAGRAPH
    return [_Border(at, rank) for at, rank in sorted(ranks.items()) if 0 < at <= len(text)]


def _trimmed(text: str) -> str:
    """Return a chunk's text without blank ends; the indentation of a first line of code stays."""
    return text.strip("\n").rstrip()
