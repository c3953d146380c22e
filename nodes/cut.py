"""Finds how much fits, where only asking tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from core.turn import Part, Passage
from knowledge.chunk.borders import LINE, SENTENCE, WORD, borders, fences

T = TypeVar("T")


async def first(candidates: Sequence[T], fits: Callable[[T], Awaitable[bool]]) -> T | None:
    """Return the first candidate that fits, where all after it do too; None when none does.

    The very first is asked about before all others: it nearly always fits.
    """
    if candidates and await fits(candidates[0]):
        return candidates[0]
    low, high = 1, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if await fits(candidates[middle]):
            high = middle
        else:
            low = middle + 1
    return candidates[low] if low < len(candidates) else None


async def shortened(passage: Passage, fits: Callable[[Passage], Awaitable[bool]]) -> Passage | None:
    """Return as much of a passage as fits; None when not a word does.

    It ends with a sentence; if not even one fits with a line, and else with a word.
    """
    found = borders(passage["text"], fences(passage["text"]))
    for rank in (SENTENCE, LINE, WORD):
        heads = [_head(passage, border.at) for border in reversed(found) if border.rank >= rank]
        chosen = await first(heads, fits)
        if chosen is not None:
            return chosen
    return None


def _head(passage: Passage, end: int) -> Passage:
    text = passage["text"][:end].rstrip()
    short: Passage = {**passage, "text": text}
    if "parts" in passage:
        short["parts"] = [
            Part({**part, "end": min(part["end"], len(text))})
            for part in passage["parts"]
            if part["start"] < len(text)
        ]
    return short
