"""Adds up small decision trees; evals/abstention.py grows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

ARRAYS = ("roots", "feature", "threshold", "left", "right", "value")


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes of all trees in one table; a leaf has no feature: -1."""

    roots: NDArray[np.int16]  # (trees,) the first node of each
    feature: NDArray[np.int16]  # (nodes,) what a node asks about
    threshold: NDArray[np.float64]  # (nodes,) up to this it goes left
    left: NDArray[np.int16]
    right: NDArray[np.int16]
    value: NDArray[np.float64]  # (nodes,) what a leaf adds

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Return the trees of an .npz file."""
        return cls(*(stored[name] for name in ARRAYS))

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum of the trees for each row. Shapes (rows, features), (rows,)."""
        at = np.tile(self.roots, (len(rows), 1))
        which = np.arange(len(rows))[:, None]
        while (inner := self.feature[at] >= 0).any():
            asked = np.where(inner, self.feature[at], 0)
            goes_left = rows[which, asked] <= self.threshold[at]
            at = np.where(inner, np.where(goes_left, self.left[at], self.right[at]), at)
        return np.asarray(self.value[at].sum(axis=1), np.float64)
