"""Passages that belong together: neighbours become one, copies are recognised.

A merged passage keeps the id of its best chunk, and `parts` says where each chunk stands in its
text, so that a citation can still name the chunk and the page that a sentence is from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from core.turn import Part, Passage

SHINGLE_WORDS = 3
SAME_SHINGLES = 0.9  # of all shingles of two passages; then one is a copy of the other
SHORTEST_OVERLAP = 12  # characters; anything shorter may be equal by chance
BETWEEN = "\n"  # two neighbours that repeat nothing of each other

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d[\d.,:/-]*\d|\d")
_NEGATION = re.compile(r"\b(?:not?|never|none|without|cannot|\w+n['’]t)\b", re.IGNORECASE)

Count = Callable[[str], int]


def parts(passage: Passage) -> list[Part]:
    """Return the chunks of a passage in reading order; one that was not merged is its own."""
    return passage.get("parts") or [
        Part(
            chunk_id=passage["chunk_id"],
            ordinal=passage["ordinal"],
            page=passage["page"],
            start=0,
            end=len(passage["text"]),
        )
    ]


def chunk_ids(passage: Passage) -> frozenset[int]:
    """Return the ids of all chunks that a passage was made of."""
    return frozenset(part["chunk_id"] for part in parts(passage))


def pinpoint(passage: Passage, sentence: str) -> Passage:
    """Return the chunk of a passage that `sentence` rests on: its id, its page, its text.

    The one that shares most words with the sentence; the passage itself when it is one chunk.
    """
    found = parts(passage)
    if len(found) == 1:
        return passage
    wanted = set(_WORD.findall(sentence.casefold()))

    def shared(part: Part) -> tuple[int, bool]:
        words = set(_WORD.findall(passage["text"][part["start"] : part["end"]].casefold()))
        return len(wanted & words), part["chunk_id"] == passage["chunk_id"]

    best = max(found, key=shared)
    chosen: Passage = {
        **passage,
        "chunk_id": best["chunk_id"],
        "ordinal": best["ordinal"],
        "page": best["page"],
        "text": passage["text"][best["start"] : best["end"]],
        "parts": [],
    }
    return chosen


def adjoin(a: Passage, b: Passage) -> bool:
    """Return whether one passage ends where the other begins: same document, same heading."""
    if (a["document_id"], a["section"]) != (b["document_id"], b["section"]):
        return False
    first, second = sorted((parts(a), parts(b)), key=lambda found: found[0]["ordinal"])
    return first[-1]["ordinal"] + 1 == second[0]["ordinal"]


def join(a: Passage, b: Passage, count: Count) -> Passage:
    """Return two neighbours as one passage, what both have in common once; `a` gives its id."""
    first, second = sorted((a, b), key=lambda passage: parts(passage)[0]["ordinal"])
    again = overlap(first["text"], second["text"])
    rest = second["text"][again:]
    head = first["text"] if again else first["text"] + BETWEEN
    shift = len(head) - again
    moved = [
        Part(
            chunk_id=part["chunk_id"],
            ordinal=part["ordinal"],
            page=part["page"],
            start=part["start"] + shift,
            end=part["end"] + shift,
        )
        for part in parts(second)
    ]
    joined: Passage = {
        **a,
        "text": head + rest,
        "tokens": count(head + rest),
        "ordinal": first["ordinal"],
        "parts": [*parts(first), *moved],
    }
    return joined


def overlap(first: str, second: str) -> int:
    """Return how many characters the beginning of `second` repeats of the end of `first`."""
    for length in range(min(len(first), len(second)), SHORTEST_OVERLAP - 1, -1):
        if first.endswith(second[:length]):
            return length
    return 0


def copies(a: Passage, b: Passage) -> bool:
    """Return whether two passages say the same in the same words.

    Equal but for a number or a "not" is no copy: it may be a contradiction, or the row of
    another product.
    """
    if fixed(told(a)) != fixed(told(b)):
        return False
    mine, others = shingles(a["text"]), shingles(b["text"])
    return len(mine & others) >= SAME_SHINGLES * len(mine | others)


def told(passage: Passage) -> str:
    """Return all that the prompt tells about a passage."""
    return f"{passage['title']}\n{passage['section']}\n{passage['text']}"


@lru_cache(maxsize=256)
def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of three words of a text. Source: Broder 1997."""
    words = _WORD.findall(text.casefold())
    size = min(SHINGLE_WORDS, len(words))
    return frozenset(tuple(words[i : i + size]) for i in range(len(words) - size + 1))


@lru_cache(maxsize=256)
def fixed(text: str) -> tuple[tuple[str, ...], int]:
    """Return the numbers of a text and how often it says no: what no copy may change."""
    return tuple(sorted(_NUMBER.findall(text))), len(_NEGATION.findall(text))


def words_of(passages: Sequence[Passage]) -> list[frozenset[str]]:
    """Return the different words of each passage."""
    return [frozenset(_WORD.findall(passage["text"].casefold())) for passage in passages]
