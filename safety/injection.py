"""Attempts to talk the assistant out of its rules, in what a user writes.

A linear classifier over the turn's own embedding, the signals (signals.py), cues and words; how
it learned and what it reaches is in docs/decisions/0024. A strong signal decides by itself.
"""

from __future__ import annotations

from typing import Self

from embeddings.base import Vector
from safety.classifiers.features import Seen, look
from safety.classifiers.model import Model, Scored
from safety.verdict import Hit

MODEL = "injection"
BLOCK_AT = 4  # sum of the weights of signals
WARN_AT = 2
# A strong signal names the attempt better than the model can.
FAMILIES = {
    "override": "override",
    "override_translated": "override",
    "extraction": "extraction",
    "known_jailbreak": "jailbreak",
}


class Injection:
    """Finds attempts; pure, a fraction of a millisecond for a question."""

    name = "injection"

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def load(cls) -> Self:
        """Return it with the model of the repository; raises OSError and ValueError."""
        return cls(Model.load(MODEL))

    def hits(
        self,
        text: str,
        vector: Vector,
        *,
        block_rate: float,
        warn_rate: float,
    ) -> list[Hit]:
        """Return a hit about the whole text, or nothing.

        block_rate, warn_rate: the share of harmless look-alikes that may be hit by mistake with
        severity high, and medium. Of what is longer than 256 tokens, the vector is that of the
        beginning; signals, cues and words are seen everywhere.
        Raises ValueError for a rate that the model has no threshold for.
        """
        block, warn = self.model.threshold(block_rate), self.model.threshold(warn_rate)
        seen = look(text)
        found = self.model.judge(seen, vector)
        if seen.weight >= BLOCK_AT or found.score >= block:
            return [Hit(kind(seen, found), "high", score=max(found.score, block))]
        if seen.weight >= WARN_AT or found.score >= warn:
            return [Hit(kind(seen, found), "medium", score=found.score)]
        return []


def kind(seen: Seen, found: Scored) -> str:
    """Return which kind of attempt it is: what a strong signal says, else the likeliest."""
    return next((FAMILIES[one.name] for one in seen.signals if one.name in FAMILIES), found.kind)
