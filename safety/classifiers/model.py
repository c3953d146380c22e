"""A linear model of a few labels, one of which is "harmless"; a few 100 kB in the repository."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from embeddings.base import Vector
from safety.classifiers.features import Floats, Seen, Vocabulary, dense, look

MODELS = Path(__file__).resolve().parent.parent / "models"
HARMLESS = "harmless"


class Scored(NamedTuple):
    """What a model thinks of a text."""

    score: float  # that it is not harmless, in [0, 1]
    kind: str  # the likeliest of the other labels


@dataclass(frozen=True, slots=True)
class Model:
    """Softmax regression: a text's odds of each label are sums of weights."""

    labels: tuple[str, ...]  # the first is HARMLESS
    weights: Floats  # (vector and marks, labels)
    terms: Floats  # (terms, labels)
    bias: Floats  # (labels,)
    vocabulary: Vocabulary
    thresholds: tuple[tuple[float, float], ...]  # false-positive rate, score; rates ascend
    lineage: Mapping[str, Any]

    @classmethod
    def load(cls, name: str, folder: Path = MODELS) -> Self:
        """Return the model of that name, about 20 ms; raises OSError and ValueError."""
        told = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
            words = stored["vocabulary"].tobytes().decode("utf-8").split("\n")
            return cls(
                tuple(told["labels"]),
                stored["weights"].astype(np.float32),
                stored["terms"].astype(np.float32),
                stored["bias"].astype(np.float32),
                Vocabulary({word: place for place, word in enumerate(words)}),
                tuple((rate, score) for rate, score in told["thresholds"]),
                told["lineage"],
            )

    def save(self, name: str, folder: Path) -> None:
        """Write the two files; the same model gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            "lineage": self.lineage,
            "labels": self.labels,
            "thresholds": self.thresholds,
        }
        text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
        words = "\n".join(self.vocabulary.places)
        np.savez_compressed(
            folder / f"{name}.npz",
            weights=self.weights.astype(np.float16),
            terms=self.terms.astype(np.float16),
            bias=self.bias.astype(np.float32),
            vocabulary=np.frombuffer(words.encode("utf-8"), np.uint8),
        )

    def score(self, text: str, vector: Vector) -> float:
        """Return how likely `text`, whose embedding is `vector`, is not harmless, in [0, 1]."""
        return self.judge(look(text), vector).score

    def judge(self, seen: Seen, vector: Vector) -> Scored:
        """Return the score of a text that was looked at, and what it most likely is."""
        odds = self.bias + dense(vector, seen.marks) @ self.weights
        places, worth = self.vocabulary.known(seen.terms)
        if places:
            odds = odds + self.terms[places].sum(axis=0) * worth
        return scored(odds, self.labels)

    def threshold(self, false_positive_rate: float) -> float:
        """Return the score from which on that share of harmless look-alikes is hit by mistake.

        Between recorded rates it is interpolated. Raises ValueError below the first of them and
        above the last.
        """
        return threshold(self.thresholds, false_positive_rate)


def scored(odds: Floats, labels: Sequence[str]) -> Scored:
    """Return the share of the labels behind the first, and the likeliest of them."""
    powers = np.exp((odds - odds.max()).astype(np.float64))
    best = 1 + int(powers[1:].argmax())
    return Scored(float(powers[1:].sum() / powers.sum()), labels[best])


def threshold(recorded: Sequence[tuple[float, float]], rate: float) -> float:
    """Return the score that belongs to a rate: on a straight line of log odds and log rate."""
    low, high = recorded[0][0], recorded[-1][0]
    if not low <= rate <= high:
        raise ValueError(f"a false-positive rate must be between {low} and {high}, not {rate}")
    known = [math.log(one) for one, _ in recorded]
    found = np.interp(math.log(rate), known, [_odds(score) for _, score in recorded])
    return 1 / (1 + math.exp(-float(found)))


def _odds(score: float) -> float:
    return math.log(score) - math.log1p(-score)
