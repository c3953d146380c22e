"""How rare the tokens of the embedding model are, and which of them say nothing.

Counted by `python -m evals.rarity` over articles that no figure is reported on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from embeddings.base import Encoded

FILE = Path(__file__).parent / "rarity.npz"

Floats = NDArray[np.float32]


class Rarity:
    """Weighs the tokens of a text."""

    def __init__(self, rarity: Floats, silent: NDArray[np.bool_]) -> None:
        """rarity, silent: (vocabulary,); a silent token, such as a comma, is left out."""
        self._rarity = rarity
        self._silent = silent

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Return the table of the repository: ln(1 + (N - n + .5) / (n + .5)) per token."""
        with np.load(path) as stored:
            return cls(stored["rarity"].astype(np.float32) / 16, stored["silent"])

    def speaking(self, text: Encoded) -> NDArray[np.bool_]:
        """Return which tokens count: all of them where none says anything."""
        speaking = ~self._silent[text.ids]
        return speaking if speaking.any() else np.ones(len(text.ids), np.bool_)

    def of(self, ids: NDArray[np.int32]) -> Floats:
        """Return how rare each token is, from 0 for one in every passage."""
        return self._rarity[ids]

    def weights(self, ids: NDArray[np.int32]) -> Floats:
        """Return what each token weighs; they sum to 1."""
        weights = self._rarity[ids] + 0.01  # there may be special tokens only
        return np.asarray(weights / weights.sum(), np.float32)


def unit(vectors: NDArray[np.float16] | Floats) -> Floats:
    """Return rows of unit length, so that a dot product is a cosine."""
    rows = vectors.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)
