"""Is a text about what the assistant is there for?

What it is there for is told by a few sentences or questions, as users would ask them. A text's
likeness is half way between its cosine with the nearest of them and with their mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embeddings.base import Embedder, Vector, Vectors
from safety.verdict import Hit

KIND = "off_topic"


class Scope:
    """A few sentences, as vectors; pure, a few microseconds a text."""

    name = "scope"

    def __init__(self, about: Vectors) -> None:
        """about: (sentences, dimensions), unit length; raises ValueError when there is none."""
        if not len(about):
            raise ValueError("a scope needs at least one sentence")
        mean = about.mean(axis=0)
        self._about = about
        self._centre = mean / max(float(np.linalg.norm(mean)), 1e-9)

    @classmethod
    async def of(cls, about: Sequence[str], embedder: Embedder) -> Scope:
        """Return the scope that sentences tell; raises ValueError, EmbeddingUnavailable."""
        return cls(await embedder.passages(about))

    def likeness(self, vector: Vector) -> float:
        """Return how near a text is, in [-1, 1]: around 0.4 within, around 0.1 elsewhere."""
        return float((self._about @ vector).max() + self._centre @ vector) / 2

    def hits(self, vector: Vector, *, least: float) -> list[Hit]:
        """Return a hit about the whole text when its likeness is below `least`."""
        likeness = self.likeness(vector)
        if likeness >= least:
            return []
        return [Hit(KIND, "medium", score=min(1.0, max(0.0, 1 - likeness)))]
