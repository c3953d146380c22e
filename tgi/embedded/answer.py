"""Puts an answer together from quoted evidence: short, cited, nothing added."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from core.sentences import Segment, split
from tgi.embedded.evidence import Evidence
from tgi.embedded.features import Candidate
from tgi.embedded.prompt import Source
from tgi.embedded.words import words

ABSTAIN = "I don't know."
DISAGREE = "The sources disagree."
MAX_WORDS = 80
MAX_QUOTES = 3
# A further sentence must have this share of the belief; see docs/decisions/0007.
MIN_SHARE = 0.1

# A source's own reference marks would pass for citations of ours.
_MARK = re.compile(r"[ \t]*\[\d{1,3}\]")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,2000}(?:\s\"[^\"\n]{0,300}\")?\)")
_CLAUSE = re.compile(r"(?<=[,;:])\s+|\s+(?=[—–(])|\s+(?=(?:and|but|which|while|whereas|because)\s)")
_BARE_STOP = re.compile(r"(?<![.!?…])(?<!\b\w\.\w)[.!?]$")


@dataclass(frozen=True, slots=True)
class Quote:
    """Something quoted from one source: segments first to last of it."""

    source: int
    first: int
    last: int
    text: str  # with its citation

    @property
    def is_block(self) -> bool:
        """True when it has lines of its own: code or a list."""
        return "\n" in self.text


def compose(
    evidence: Sequence[Evidence],
    sources: Sequence[Source],
    terms: Sequence[str],
    *,
    against: Candidate | None = None,
) -> str:
    """Return one to three quotations, the best first, at most MAX_WORDS words with citations.

    terms: what the question is about; a sentence that is too long is cut around them.
    against: what contradicts the best one; then both are quoted, and nothing else.
    """
    if against is not None:
        room = (MAX_WORDS - _length(DISAGREE)) // 2
        both = [
            _quote(sources[one.source], one.source, one.position, room, terms, first=True)
            for one in (evidence[0].candidate, against)
        ]
        if all(both):
            return f"{DISAGREE} {_join([quote for quote in both if quote is not None])}"
    quotes: list[Quote] = []
    room = MAX_WORDS
    for one in evidence:
        if quotes and (one.share < MIN_SHARE or len(quotes) == MAX_QUOTES):
            break
        found = one.candidate
        source = sources[found.source]
        quote = _quote(source, found.source, found.position, room, terms, first=not quotes)
        if quote is None or any(_repeats(quote, other) for other in quotes):
            continue
        quotes.append(quote)
        room -= _length(quote.text)
    return _join(_ordered(quotes))


def cite(text: str, marker: int) -> str:
    """Return `text` with its citation: before the full stop, or behind a closing quotation mark."""
    if _BARE_STOP.search(text):
        return f"{text[:-1]} [{marker}]{text[-1]}"
    if text[-1:] in ":;,":
        return f"{text[:-1].rstrip()} [{marker}]."
    ended = re.search(r"[.!?…。！？][\"'”’»)\]]*$", text)
    return f"{text} [{marker}]" if ended else f"{text} [{marker}]."


def clean(text: str) -> str:
    """Return a sentence on one line, without heading marks, link targets and reference marks."""
    text = _MARK.sub("", _LINK.sub(r"\1", " ".join(text.split())))
    return re.sub(r"^#{1,6}\s+|\s+#+$", "", text).strip()


def shorten(text: str, room: int, terms: Sequence[str]) -> str:
    """Return the run of clauses of at most `room` words that says most about `terms`."""
    if _length(text) <= room:
        return text
    clauses = [clause for clause in _CLAUSE.split(text) if clause.strip()]
    lengths = [_length(clause) for clause in clauses]
    stems = [{word.stem for word in words(clause)} & set(terms) for clause in clauses]
    best, best_value = (0, 0), (-1, 0)
    for first in range(len(clauses)):
        length = 0
        hits: set[str] = set()
        for last in range(first, len(clauses)):
            length += lengths[last]
            if length > room:
                break
            hits |= stems[last]
            if (len(hits), length) > best_value:
                best, best_value = (first, last + 1), (len(hits), length)
    first, stop = best
    if stop == 0:  # one endless clause
        return " ".join(text.split()[: max(room, 1)]) + " …"
    kept = " ".join(clauses[first:stop])
    return ("… " if first else "") + (kept.rstrip(",;:") + " …" if stop < len(clauses) else kept)


def _quote(
    source: Source, index: int, position: int, room: int, terms: Sequence[str], *, first: bool
) -> Quote | None:
    segments = split(source.text)
    here = segments[position]
    raw = [source.text[part.start : part.stop] for part in segments]
    if here.kind == "code":
        before = raw[position - 1].rstrip() if position else ""
        announced = before.endswith(":") or (position and segments[position - 1].kind == "heading")
        lead_at = position - 1 if announced else position
        lead = clean(before) if announced else source.section.rsplit(" > ", 1)[-1] or source.title
        opening = f"{lead.rstrip('.:')} [{source.marker}]:".lstrip()
        code = _code(raw[position], room - _length(opening), terms)
        return Quote(index, lead_at, position, f"{opening}\n\n{code}") if code else None
    text = clean(_cells(raw[position]) if here.kind == "row" else raw[position])
    if text.endswith(":"):
        with_block = _with_block(source, index, segments, raw, position, room, terms)
        if with_block is not None:
            return with_block
    budget = room - 2  # the citation, and a possible ellipsis
    if first:
        text = shorten(text, budget, terms)
    if not text or _length(text) > budget:
        return None
    return Quote(index, position, position, cite(text, source.marker))


def _with_block(
    source: Source,
    index: int,
    segments: Sequence[Segment],
    raw: Sequence[str],
    position: int,
    room: int,
    terms: Sequence[str],
) -> Quote | None:
    """Return the sentence "…:" with the code or the list that it announces."""
    opening = f"{clean(raw[position])[:-1]} [{source.marker}]:"
    left = room - _length(opening)
    after = position + 1
    if after >= len(segments) or left <= 0:
        return None
    if segments[after].kind == "code":
        code = _code(raw[after], left, terms)
        return Quote(index, position, after, f"{opening}\n\n{code}") if code else None
    items = []
    while after < len(segments) and segments[after].kind in ("item", "row"):
        item = clean(_cells(raw[after]) if segments[after].kind == "row" else raw[after])
        left -= _length(item) + 1
        if left < 0:
            break
        items.append(f"- {item}")
        after += 1
    return Quote(index, position, after - 1, "\n".join([opening, *items])) if items else None


def _code(raw: str, room: int, terms: Sequence[str]) -> str:
    """Return a code block, fenced, at most `room` words: of a long one the lines about `terms`."""
    lines = raw.strip("\n").split("\n")
    fence = re.match(r"[ \t]*((```+|~~~+).*)", lines[0])
    opening = fence.group(1).strip() if fence else "```"
    mark = fence.group(2) if fence else "```"
    if fence:
        lines = lines[1:]
        if lines and lines[-1].strip().startswith(mark):
            lines = lines[:-1]
    lines = textwrap.dedent("\n".join(lines)).split("\n")
    room -= len(opening.split()) + 1
    best: tuple[int, int, list[str]] = (-1, 0, [])
    for first in range(len(lines)):
        kept, length = [], 0
        for line in lines[first:]:
            length += _length(line)
            if length > room:
                break
            kept.append(line)
        hits = len({word.stem for word in words("\n".join(kept))} & set(terms))
        if kept and (hits, len(kept)) > best[:2]:
            best = (hits, len(kept), kept)
        if len(kept) == len(lines):
            break
    return "\n".join([opening, *best[2], mark]) if any(line.strip() for line in best[2]) else ""


def _cells(row: str) -> str:
    return " – ".join(cell.strip() for cell in row.strip().strip("|").split("|") if cell.strip())


def _repeats(quote: Quote, other: Quote) -> bool:
    """Neighbouring chunks overlap, so the same sentence may come from two sources."""
    if quote.source == other.source:
        return quote.first <= other.last and other.first <= quote.last
    mine, its = _MARK.sub("", quote.text).strip(" ."), _MARK.sub("", other.text).strip(" .")
    return mine in its or its in mine


def _ordered(quotes: list[Quote]) -> list[Quote]:
    """Return the quotes of the best source first, in reading order, then the others."""
    places = list(dict.fromkeys(quote.source for quote in quotes))
    return sorted(quotes, key=lambda quote: (places.index(quote.source), quote.first))


def _join(quotes: Sequence[Quote]) -> str:
    text = quotes[0].text if quotes else ""
    for before, quote in pairwise(quotes):
        text += ("\n\n" if before.is_block or quote.is_block else " ") + quote.text
    return text


def _length(text: str) -> int:
    """Return the number of words, counting what stands between white space."""
    return len(text.split())
