"""Passages for tests that need some."""

from __future__ import annotations

from core.turn import Passage


def passage(number: int, text: str = "Water boils at 100 degrees.") -> Passage:
    """Return a passage that looks as if a search had found it."""
    return Passage(
        chunk_id=1000 + number,
        document_id=f"00000000-0000-7000-8000-{number:012d}",
        uri=f"file:///documents/{number}.md",
        title=f"Document {number}",
        section="Physics > Heat",
        page=None,
        ordinal=0,
        text=text,
        tokens=7,
        score=1.0 / number,
        scores={"vector": 0.5, "keyword": 3.0},
    )
