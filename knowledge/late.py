"""Late interaction: how well each token of a question is met by some token of a passage.

    late(question, passage) = sum over t of w(t) * max over s of cosine(t, s),  in [-1, 1]

t are the question's tokens, s the passage's, w the rarity of a token, summing to 1.
A vector of a passage is kept as the signs of its 384 numbers: 48 bytes a token, an eighth of
int8, and as good in every measurement (docs/decisions/0019); the question stays exact.
For random signs, the cosine of x with sign(x) is the sum of |x| over the root of 384, so what
is summed here is a little below a true cosine, for all passages alike.

Source: MaxSim is from ColBERT, Khattab & Zaharia 2020; sign bits from their PLAID, 2022.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import numpy as np

from embeddings.base import Encoded
from embeddings.rarity import Rarity, unit

FORMAT = 1  # the first byte of what is stored; another number is another form


class Late:
    """Packs passages when they are ingested, and compares them with a question."""

    def __init__(self, rarity: Rarity) -> None:
        self._rarity = rarity

    @classmethod
    def load(cls) -> Self:
        """Return the measure with the rarity of tokens that `python -m evals.rarity` counted."""
        return cls(Rarity.load())

    def pack(self, passage: Encoded) -> bytes:
        """Return what is stored of a passage: 48 bytes for each token that says something."""
        tokens = passage.tokens[self._rarity.speaking(passage)]
        return bytes([FORMAT]) + np.packbits(tokens > 0, axis=1).tobytes()

    async def scores(self, question: Encoded, packed: Sequence[bytes | None]) -> list[float | None]:
        """Return the score of each passage; None for one that was stored without its tokens.

        Works in a thread: about 2 ms for 20 passages of 120 tokens.
        """
        return await asyncio.to_thread(self.compare, question, packed)

    def compare(self, question: Encoded, packed: Sequence[bytes | None]) -> list[float | None]:
        """Return the score of each passage, as `scores` does, in this thread."""
        speaking = self._rarity.speaking(question)
        asked = unit(question.tokens[speaking])
        weights = self._rarity.weights(question.ids[speaking])
        width = asked.shape[1] // 8
        usable = [
            index
            for index, one in enumerate(packed)
            if one and one[0] == FORMAT and len(one) > 1 and (len(one) - 1) % width == 0
        ]
        scores: list[float | None] = [None] * len(packed)
        if not usable:
            return scores
        together = b"".join((packed[index] or b"")[1:] for index in usable)
        bits = np.frombuffer(together, np.uint8).reshape(-1, width)
        signs = np.unpackbits(bits, axis=1).astype(np.float32)
        # A sign is 2 * bit - 1; taking that out of the product saves a pass over the signs.
        cosines = (2 * (asked @ signs.T) - asked.sum(axis=1, keepdims=True)) / signs.shape[1] ** 0.5
        lengths = [(len(packed[index] or b"") - 1) // width for index in usable]
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        met = weights @ np.maximum.reduceat(cosines, starts, axis=1)
        for index, score in zip(usable, met, strict=True):
            scores[index] = float(score)
        return scores
