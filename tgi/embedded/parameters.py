"""The fitted numbers of the extractive model, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tgi.embedded.features import LEXICAL
from tgi.embedded.support import RANKING, SUPPORT
from tgi.embedded.trees import Trees

FILE = Path(__file__).parent / "parameters.json"  # what is too long to read is beside it, as .npz

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Meaning:
    """A cosine in which directions weigh what they are worth for telling answers."""

    directions: NDArray[np.float32]  # (dimensions, directions)
    weights: NDArray[np.float32]  # (directions,)

    def __call__(self, asked: NDArray[np.float32], told: NDArray[np.float32]) -> Weights:
        """Return the measure of each sentence. Shapes (dimensions,), (sentences, dimensions)."""
        wanted = (asked @ self.directions) * self.weights
        return np.asarray((told @ self.directions) @ wanted, np.float64)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Weights in the order of the features they belong to."""

    prefilter: Weights  # by LEXICAL
    ranking: Weights  # by RANKING
    meaning: Meaning
    support: Trees  # over SUPPORT
    threshold: float  # log-odds from which on an answer is given


def load(file: Path = FILE) -> Parameters:
    """Return the parameters; raises ValueError when the file was fitted to other features."""
    stored = json.loads(file.read_text(encoding="utf-8"))
    prefilter = _ordered(stored["prefilter"], LEXICAL)
    ranking = _ordered(stored["ranking"], RANKING)
    if stored["support"] != list(SUPPORT):
        raise _other(stored["support"], SUPPORT)
    with np.load(file.with_suffix(".npz")) as arrays:
        return Parameters(
            prefilter,
            ranking,
            Meaning(arrays["directions"].astype(np.float32), arrays["weights"]),
            Trees.of(arrays),
            float(stored["threshold"]),
        )


def _ordered(weights: Mapping[str, float], names: Sequence[str]) -> Weights:
    if set(weights) != set(names):
        raise _other(weights, names)
    return np.array([weights[name] for name in names], dtype=np.float64)


def _other(stored: Mapping[str, float] | Sequence[str], names: Sequence[str]) -> ValueError:
    return ValueError(f"fitted to other features: {sorted(set(stored) ^ set(names))}")
