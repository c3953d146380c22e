"""Puts the context together: which of the found passages enter the prompt, and in which order.

Pure functions: the same passages in, the same prompt out, and a record of why.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.turn import Passage
from knowledge.merge import adjoin, chunk_ids, copies, join, words_of

T = TypeVar("T")
Strategy = Literal["relevance", "diversity", "recency"]
Order = Literal["best_first", "edges"]
Reason = Literal["duplicate", "neighbour", "limit", "budget", "cut"]

NOVELTY_SHARE = 0.3  # of diversity: what is new counts so much, relevance the rest
RECENCY_SHARE = 0.3  # of recency: likewise
HALF_LIFE_DAYS = 365.0  # a document that much older than the newest one found counts half
FRAME_TOKENS = 12  # what the prompt puts around a passage besides its title and section


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one found chunk that does not stand in the prompt as it was found."""

    chunk_id: int
    reason: Reason  # "neighbour": it is part of the passage `by`; "duplicate": a copy of it
    by: int | None = None  # chunk_id of the passage that stands for it


@dataclass(frozen=True, slots=True)
class Assembly:
    """The passages for the prompt, in its order, and how they came about."""

    passages: list[Passage]
    changes: list[Change]
    strategy: Strategy
    order: Order
    tokens: int  # of all passages with what frames them
    budget_tokens: int

    def record(self) -> dict[str, Any]:
        """Return what the turn log keeps: plain data, without any text."""
        return {
            "strategy": self.strategy,
            "order": self.order,
            "tokens": self.tokens,
            "budget_tokens": self.budget_tokens,
            "passages": [sorted(chunk_ids(passage)) for passage in self.passages],
            "changes": [
                {"chunk_id": c.chunk_id, "reason": c.reason, "by": c.by} for c in self.changes
            ],
        }


def assemble(
    found: Sequence[Passage],
    *,
    count: Callable[[str], int],
    limit: int,
    budget_tokens: int,
    strategy: Strategy = "relevance",
    order: Order = "best_first",
    merge: bool = True,
    vectors: Mapping[int, NDArray[np.float32]] | None = None,
) -> Assembly:
    """Return at most `limit` passages within `budget_tokens`, neighbours merged, copies dropped.

    found: best first; give more than `limit`, because neighbours and copies take no place.
    count: tokens of a text. vectors: by chunk_id, unit length, for diversity; words without them.
    Nothing that would be there without merging goes missing because of it, within the budget.
    The best passage always stays; alone above the budget, it is cut at its end.
    """
    changes: list[Change] = []
    chosen: list[Passage] = []
    for passage in ranked(_without_copies(found, changes), strategy, vectors):
        if len(chosen) == limit:
            changes.append(Change(passage["chunk_id"], "limit"))
            continue
        near = next((p for p in chosen if merge and adjoin(p, passage)), None)
        wanted = _with(chosen, passage, near, count)
        if total(wanted, count) <= budget_tokens:
            chosen = wanted
            if near is not None:
                changes.append(Change(passage["chunk_id"], "neighbour", near["chunk_id"]))
        elif chosen:
            changes.append(Change(passage["chunk_id"], "budget"))
        else:
            chosen = [shortened(passage, budget_tokens, count)]
            changes.append(Change(passage["chunk_id"], "cut"))
    placed = edges(chosen) if order == "edges" else chosen
    return Assembly(placed, changes, strategy, order, total(placed, count), budget_tokens)


def ranked(
    found: Sequence[Passage],
    strategy: Strategy,
    vectors: Mapping[int, NDArray[np.float32]] | None = None,
) -> list[Passage]:
    """Return the passages in the order in which they may take a place."""
    if strategy == "recency":
        return by_recency(found)
    return by_novelty(found, vectors) if strategy == "diversity" else list(found)


def by_novelty(
    found: Sequence[Passage], vectors: Mapping[int, NDArray[np.float32]] | None = None
) -> list[Passage]:
    """Return the passages so that each adds something to those before it.

    Source: maximal marginal relevance, Carbonell & Goldstein 1998.
    """
    if not found:
        return []
    relevance = _scaled([passage["score"] for passage in found])
    alike = _alike(found, vectors)
    nearest = np.zeros(len(found))  # to what is taken already
    order: list[int] = []
    while len(order) < len(found):
        worth = (1 - NOVELTY_SHARE) * relevance - NOVELTY_SHARE * nearest
        worth[order] = -np.inf
        best = int(worth.argmax())
        order.append(best)
        nearest = np.maximum(nearest, alike[best])
    return [found[i] for i in order]


def by_recency(found: Sequence[Passage]) -> list[Passage]:
    """Return the passages by relevance and age together, the age counted from the newest found.

    What has no date counts as old as the oldest one.
    """
    dates = [_date(passage) for passage in found]
    known = [date for date in dates if date is not None]
    if not known:
        return list(found)
    newest, oldest = max(known), min(known)
    relevance = _scaled([passage["score"] for passage in found])
    ages = np.array([(newest - (date or oldest)).total_seconds() / 86_400 for date in dates])
    worth = (1 - RECENCY_SHARE) * relevance + RECENCY_SHARE * 0.5 ** (ages / HALF_LIFE_DAYS)
    return [found[i] for i in np.argsort(-worth, kind="stable")]


def edges(passages: Sequence[T]) -> list[T]:
    """Return the passages with the best at both ends and the worst in the middle.

    Long prompts are read best there. Source: Liu et al. 2023, Lost in the Middle.
    """
    return [*passages[::2], *reversed(passages[1::2])]


def total(passages: Sequence[Passage], count: Callable[[str], int]) -> int:
    """Return the tokens that passages take in a prompt, with what frames them."""
    return sum(
        passage["tokens"] + count(passage["title"]) + count(passage["section"]) + FRAME_TOKENS
        for passage in passages
    )


def shortened(passage: Passage, budget_tokens: int, count: Callable[[str], int]) -> Passage:
    """Return a passage cut at a word, so that it takes at most `budget_tokens`."""
    frame = total([passage], count) - passage["tokens"]
    ends = [match.end() for match in re.finditer(r"\S+", passage["text"])]
    fits = bisect_right(ends, budget_tokens - frame, key=lambda end: count(passage["text"][:end]))
    text = passage["text"][: ends[max(0, fits - 1)]]
    short: Passage = {**passage, "text": text, "tokens": count(text)}
    return short


def _with(
    chosen: Sequence[Passage], passage: Passage, near: Passage | None, count: Callable[[str], int]
) -> list[Passage]:
    """Return `chosen` with one more; joined to `near`, it may close the gap to another one."""
    if near is None:
        return [*chosen, passage]
    joined = join(near, passage, count)
    other = next((p for p in chosen if p is not near and adjoin(joined, p)), None)
    if other is None:
        return [joined if p is near else p for p in chosen]
    joined = join(joined, other, count)
    return [joined if p is near else p for p in chosen if p is not other]


def _without_copies(found: Sequence[Passage], changes: list[Change]) -> list[Passage]:
    kept: list[Passage] = []
    for passage in found:
        original = next((p for p in kept if copies(p, passage)), None)
        if original is None:
            kept.append(passage)
        else:
            changes.append(Change(passage["chunk_id"], "duplicate", original["chunk_id"]))
    return kept


def _scaled(scores: Sequence[float]) -> NDArray[np.float64]:
    """Return scores stretched to [0, 1]."""
    values = np.array(scores, dtype=np.float64)
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread > 0 else np.ones(len(values))


def _alike(
    found: Sequence[Passage], vectors: Mapping[int, NDArray[np.float32]] | None
) -> NDArray[np.float64]:
    """Return how alike each two passages are, in [0, 1]: cosines, or the share of equal words."""
    if vectors is not None and all(passage["chunk_id"] in vectors for passage in found):
        matrix = np.stack([vectors[passage["chunk_id"]] for passage in found]).astype(np.float64)
        return np.clip(matrix @ matrix.T, 0, 1)
    words = words_of(found)
    return np.array([[len(a & b) / max(1, min(len(a), len(b))) for b in words] for a in words])


def _date(passage: Passage) -> datetime | None:
    """Return when the document was last changed; a date without a zone counts as UTC."""
    try:
        date = datetime.fromisoformat(passage.get("modified_at") or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
