"""Vectors of sentences, remembered: the same source in the next turn costs nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embeddings.base import Embedder

REMEMBERED = 4096  # sentences; 6 MB of vectors


class Vectors:
    """An embedder with a memory of what it was asked lately."""

    def __init__(self, embedder: Embedder, *, remembered: int = REMEMBERED) -> None:
        self._embedder = embedder
        self._remembered = remembered
        self._memory: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    async def query(self, text: str) -> NDArray[np.float32]:
        """Return the vector of a question: (dimensions,), unit length."""
        return await self._embedder.query(text)

    async def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of `texts` in their order: (texts, dimensions), unit length."""
        known = {text: self._memory[text] for text in texts if text in self._memory}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known.update(zip(missing, await self._embedder.passages(missing), strict=True))
        for text, vector in known.items():
            self._memory[text] = vector
            self._memory.move_to_end(text)
        while len(self._memory) > self._remembered:
            self._memory.popitem(last=False)
        rows = [known[text] for text in texts]
        empty = np.empty((0, self._embedder.dimensions), np.float32)
        return np.stack(rows) if rows else empty
