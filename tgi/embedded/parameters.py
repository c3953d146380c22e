"""The fitted numbers of the extractive model, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tgi.embedded.features import LEXICAL, RANKING, SUPPORT

FILE = Path(__file__).parent / "parameters.json"

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Weights in the order of the features they belong to."""

    prefilter: Weights  # by LEXICAL
    ranking: Weights  # by RANKING
    support: Weights  # by SUPPORT
    intercept: float
    threshold: float  # log-odds from which on an answer is given


def load(file: Path = FILE) -> Parameters:
    """Return the parameters; raises ValueError when the file was fitted to other features."""
    stored = json.loads(file.read_text(encoding="utf-8"))
    return Parameters(
        prefilter=_ordered(stored["prefilter"], LEXICAL),
        ranking=_ordered(stored["ranking"], RANKING),
        support=_ordered(stored["support"], SUPPORT),
        intercept=float(stored["intercept"]),
        threshold=float(stored["threshold"]),
    )


def _ordered(weights: Mapping[str, float], names: Sequence[str]) -> Weights:
    if set(weights) != set(names):
        raise ValueError(f"fitted to other features: {sorted(set(weights) ^ set(names))}")
    return np.array([weights[name] for name in names], dtype=np.float64)
