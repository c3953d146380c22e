"""Cut a document into chunks of so many tokens, title and section path included."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from embeddings.base import Embedder
from knowledge.chunk.borders import Span
from knowledge.chunk.sentences import likeness, packed, sentences, split
from knowledge.chunk.structure import MAX_CHARACTERS, spans
from knowledge.load.document import Document, Part, has_text
from knowledge.store import Chunk

Strategy = Literal["structure", "sentence", "semantic"]

BETWEEN = "\n\n"  # parts, and rows of a table
CELLS = " | "  # between the cells of a row that does not name them
NAMED = re.compile(r"[^:;|]{1,300}: ")  # a row that does
HEADING_SHARE = 4  # title and section may each take one part in so many of a chunk


@dataclass(frozen=True, slots=True)
class Size:
    """How large chunks are."""

    tokens: int  # at most, together with title and section: the three are embedded as one text
    overlap: int = 0  # a chunk may repeat so many of the one before it
    strategy: Strategy = "structure"


async def cut(document: Document, embedder: Embedder, size: Size) -> tuple[str, list[Chunk]]:
    """Return the title as it is embedded, and the document's chunks in order.

    Every character that is not white space is in some chunk, and no chunk crosses a heading or a
    page. A table that fits is in one chunk. One that does not is cut between its rows, and where
    these do not name their columns themselves each chunk begins with the first row.

    structure: whole paragraphs. Where a long one is cut, the next chunk begins with the last
    sentences of the one before.
    sentence: as many whole sentences as fit, the last ones of the chunk before repeated.
    semantic: ends where neighbouring sentences are least alike; embeds each sentence for that.
    """
    title, runs = await asyncio.to_thread(_runs, document, embedder, size)
    if size.strategy == "semantic":
        for run in runs:
            run.alike = await likeness(run.text, run.units, embedder)
    return title, await asyncio.to_thread(_chunks, runs, embedder, size)


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


@dataclass(slots=True)
class _Run:
    """A stretch of a document in which chunks may end anywhere: one section, one page."""

    text: str
    section: str  # as it is embedded
    page: int | None
    room: int  # tokens of a chunk, beside title and section
    rows: bool  # of a table: complete, so never repeated
    whole: list[Span]  # tables that fit
    header: str = ""  # repeated where a table is cut
    units: list[Span] = field(default_factory=list)  # sentences, for the strategies that need them
    alike: list[float] = field(default_factory=list)  # neighbouring units


def _runs(document: Document, embedder: Embedder, size: Size) -> tuple[str, list[_Run]]:
    """Return the title as it is embedded, and what chunks are cut from."""
    share = size.tokens // HEADING_SHARE
    title = shorten(document.title, share, embedder)
    used = embedder.count_tokens(title)
    found: list[_Run] = []
    for (section, page), parts in groupby(document.parts, lambda part: (part.section, part.page)):
        short = shorten(section, share, embedder, keep_end=True)
        room = size.tokens - used - embedder.count_tokens(short)
        for part in parts:
            # A table that fits stands among the text around it; rows of a larger one are alone.
            rows = part.records or (part.table and not _fits(part.text, room, embedder))
            header = _header(part, room, embedder) if rows else ""
            last = found[-1] if found else None
            joins = last is not None and (last.section, last.page) == (short, page)
            if last is None or rows or last.rows or not joins:
                last = _Run("", short, page, room, rows, [], header)
                found.append(last)
            start = len(last.text) + len(BETWEEN) if last.text else 0
            last.text += (BETWEEN if last.text else "") + part.text
            if part.table and not rows:
                last.whole.append((start, len(last.text)))
    if size.strategy != "structure":
        for run in found:
            run.units = (
                []
                if run.rows
                else sentences(run.text, embedder, max_tokens=run.room, whole=run.whole)
            )
    return title, found


def _chunks(runs: Sequence[_Run], embedder: Embedder, size: Size) -> list[Chunk]:
    found: list[Chunk] = []
    for run in runs:
        for text in _texts(run, embedder, size):
            if has_text(text):
                tokens = embedder.count_tokens(text)
                found.append(Chunk(text, run.section, run.page, len(found), tokens))
    return found


def _texts(run: _Run, embedder: Embedder, size: Size) -> Iterator[str]:
    overlap = 0 if run.rows else min(size.overlap, run.room // 4)
    if run.header:
        room = run.room - embedder.count_tokens(run.header)
        pieces = spans(run.text, embedder, max_tokens=room, overlap_tokens=0)
        for start, stop in pieces:
            text = _trimmed(run.text[start:stop])
            named = f"{run.header}{BETWEEN}{text}" if start else text
            yield named if _fits(named, run.room, embedder) else text
        return
    found: Iterable[Span]
    if run.rows or size.strategy == "structure":
        found = spans(
            run.text, embedder, max_tokens=run.room, overlap_tokens=overlap, whole=run.whole
        )
    elif size.strategy == "sentence":
        found = packed(run.text, run.units, embedder, max_tokens=run.room, overlap_tokens=overlap)
    else:
        found = split(run.text, run.units, run.alike, embedder, max_tokens=run.room)
    for start, stop in found:
        yield _trimmed(run.text[start:stop])


def _header(part: Part, room: int, embedder: Embedder) -> str:
    """Return the first row of a table whose rows do not name their columns themselves."""
    first = part.text.partition(BETWEEN)[0]
    plain = part.table and CELLS in first and NAMED.match(first) is None
    return first if plain and _fits(first, room // HEADING_SHARE, embedder) else ""


def _fits(text: str, max_tokens: int, embedder: Embedder) -> bool:
    return len(text) <= MAX_CHARACTERS and embedder.count_tokens(text) <= max_tokens


def _trimmed(text: str) -> str:
    """Return a chunk's text without blank ends; the indentation of a first line of code stays."""
    return text.strip("\n").rstrip()
