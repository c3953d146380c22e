"""Is what a user wants understood? CLINC150 with 10 examples an intent, ours beside simple ways.

Data: https://github.com/clinc/oos-eval (Larson et al. 2019), 150 intents and texts of none.
What was tuned, the threshold of this run included, was tuned on the half of the validation texts
that core/split.py calls the first; the figures are of the other half and of the `oos_val` texts.
They are means over draws of the examples: the ten marked in the data, then ten by hash and seed.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from core.split import digest, in_first_half
from embeddings.minilm import MiniLM
from evals.cases import read
from evals.spread import mean_share
from nodes.classifier import Classifier
from nodes.intents import embed

EACH = 10  # examples of an intent
DRAWS = 5
KEPT = 0.95  # of the texts that belong to an intent

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Texts:
    """Some texts with their labels and vectors."""

    texts: list[str]
    labels: list[str]
    vectors: Array


Guesses = tuple[list[str], NDArray[np.float64]]
"""The label of each text, and how surely it belongs to any."""

Method = Callable[[Texts], Callable[[Texts], Guesses]]


async def run(data: Path, embedder: MiniLM, *, sample: int | None = None) -> dict[str, Any]:
    """Return the figures of our classifier, those of the others below their names; {} without data.

    sample: only so many texts to guess, of each kind.
    """
    rows = read(data / "clinc150", "examples")
    if not rows:
        return {}
    known: dict[str, Array] = {}
    inside = [row for row in rows if row["split"] == "val"]
    parts = {
        "fitted": [row for row in inside if in_first_half(row["text"])][:sample],
        "inside": [row for row in inside if not in_first_half(row["text"])][:sample],
        "foreign": [row for row in rows if row["split"] == "oos_val"][:sample],
    }
    asked = {name: await texts_of(some, embedder, known) for name, some in parts.items()}
    results: dict[str, list[Result]] = defaultdict(list)
    for draw in range(DRAWS):
        examples = await texts_of(drawn(rows, draw), embedder, known)
        end = -len(set(examples.labels))
        bare = Texts(examples.texts[:end], examples.labels[:end], examples.vectors[:end])
        for name, (method, given) in {
            "parley": (ours, examples),
            "ours_without_names": (ours, bare),
            "logistic_regression": (regression, examples),
            "nearest_centroid": (centroid, examples),
            "nearest_neighbour": (neighbour, examples),
        }.items():
            results[name].append(await asyncio.to_thread(measured, method, given, asked))
    report: dict[str, Any] = figures(results.pop("parley"))
    report |= {name: figures(some) for name, some in results.items()}
    return {"clinc150_10shot": {**report, "draws": DRAWS}}


async def texts_of(
    rows: Sequence[Mapping[str, Any]], embedder: MiniLM, known: dict[str, Array]
) -> Texts:
    """Return the texts of rows, each embedded once; `known` grows by those that are new."""
    texts = [row["text"] for row in rows]
    known |= await embed(embedder, texts, known)
    return Texts(texts, [row["intent"] for row in rows], np.stack([known[t] for t in texts]))


def drawn(rows: Sequence[Mapping[str, Any]], draw: int) -> list[Mapping[str, Any]]:
    """Return ten examples of each intent, then the name of each: our files name them as well."""
    own: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["split"] == "train" and (draw or row.get("few_shot_10")):
            own[row["intent"]].append(row)
    examples = []
    for some in own.values():
        examples += sorted(some, key=lambda row: digest(f"{draw} {row['id']}"))[:EACH]
    return examples + [{"text": name.replace("_", " "), "intent": name} for name in own]


@dataclass(frozen=True, slots=True)
class Result:
    """What one method makes of one draw."""

    right: list[bool]  # of the texts that belong to an intent
    kept: list[bool]  # of the same, at the threshold
    caught: list[bool]  # of the foreign texts, at the threshold
    area: float  # under the ROC curve of belonging or not
    seconds: float  # of learning


def measured(method: Method, examples: Texts, asked: Mapping[str, Texts]) -> Result:
    """Return how one method does; the threshold keeps 95 % of the fitted half."""
    began = time.perf_counter()
    guess = method(examples)
    seconds = time.perf_counter() - began
    threshold = float(np.quantile(guess(asked["fitted"])[1], 1 - KEPT))
    labels, scope = guess(asked["inside"])
    _, foreign = guess(asked["foreign"])
    return Result(
        [label == wanted for label, wanted in zip(labels, asked["inside"].labels, strict=True)],
        [bool(score >= threshold) for score in scope],
        [bool(score < threshold) for score in foreign],
        float(np.mean((scope[:, None] > foreign) + 0.5 * (scope[:, None] == foreign))),
        seconds,
    )


def figures(results: Sequence[Result]) -> dict[str, Any]:
    """Return the means over draws, with the interval that so many texts allow."""
    accuracies = [float(np.mean(one.right)) for one in results]
    return {
        "in_scope_accuracy": mean_share([one.right for one in results]),
        "in_scope_accuracy_of_draws": [round(one, 4) for one in accuracies],
        "oos_recall_at_95": mean_share([one.caught for one in results]),
        "in_scope_kept": mean_share([one.kept for one in results]),
        "oos_auroc": round(float(np.mean([one.area for one in results])), 4),
        "learning_seconds": round(float(np.median([one.seconds for one in results])), 3),
    }


def ours(examples: Texts) -> Callable[[Texts], Guesses]:
    """Return the product's classifier."""
    classifier = Classifier.fit(examples.texts, examples.labels, examples.vectors)

    def guess(asked: Texts) -> Guesses:
        found = [classifier.guess(t, v) for t, v in zip(asked.texts, asked.vectors, strict=True)]
        return [one.label for one in found], np.array([one.scope for one in found])

    return guess


def regression(examples: Texts) -> Callable[[Texts], Guesses]:
    """Return logistic regression over the vectors, C = 30; scope: probability + top cosine."""
    model = LogisticRegression(C=30, max_iter=1000).fit(examples.vectors, examples.labels)

    def guess(asked: Texts) -> Guesses:
        shares = model.predict_proba(asked.vectors)
        near = (asked.vectors @ examples.vectors.T).max(axis=1)
        return list(model.classes_[shares.argmax(axis=1)]), shares.max(axis=1) + near

    return guess


def centroid(examples: Texts) -> Callable[[Texts], Guesses]:
    """Return the intent with the nearest mean; scope: that cosine."""
    names = sorted(set(examples.labels))
    labels = np.array(examples.labels)
    means = np.stack([examples.vectors[labels == name].mean(axis=0) for name in names])
    return nearest(names, means / np.linalg.norm(means, axis=1, keepdims=True))


def neighbour(examples: Texts) -> Callable[[Texts], Guesses]:
    """Return the intent of the nearest example; scope: that cosine."""
    return nearest(examples.labels, examples.vectors)


def nearest(labels: Sequence[str], vectors: Array) -> Callable[[Texts], Guesses]:
    """Return the label of the nearest vector."""

    def guess(asked: Texts) -> Guesses:
        cosines = asked.vectors @ vectors.T
        return [labels[n] for n in cosines.argmax(axis=1)], cosines.max(axis=1).astype(float)

    return guess
