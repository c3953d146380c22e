"""Requests for help with doing harm, by category, in what a user writes.

A linear classifier over the turn's own embedding; it hears what a request is about better than
what it is for, so it warns more often than it blocks (docs/decisions/0024).
"""

from __future__ import annotations

from typing import Self

from embeddings.base import Vector
from safety.classifiers.features import look
from safety.classifiers.model import Model
from safety.verdict import Hit

MODEL = "harmful"


class Harmful:
    """Finds requests for harm; pure, a fraction of a millisecond for a question."""

    name = "harmful"

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def load(cls) -> Self:
        """Return it with the model of the repository; raises OSError and ValueError."""
        return cls(Model.load(MODEL))

    def hits(self, text: str, vector: Vector, *, block_rate: float, warn_rate: float) -> list[Hit]:
        """Return a hit about the whole text, its kind the category, or nothing.

        block_rate, warn_rate: the share of harmless look-alikes that may be hit by mistake with
        severity high, and medium. Raises ValueError for a rate that has no threshold.
        """
        block, warn = self.model.threshold(block_rate), self.model.threshold(warn_rate)
        found = self.model.judge(look(text), vector)
        if found.score < warn:
            return []
        return [Hit(found.kind, "high" if found.score >= block else "medium", score=found.score)]
