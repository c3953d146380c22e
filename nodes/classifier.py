"""Which of a few labels a short text carries, learned from a few examples of each.

Kernel logistic regression over two views of a text: its embedding (centred on the examples) and
its words and pairs of words. The first knows meaning, the second tells "cancel" from "confirm".
The names of the labels are examples too. Beside the label comes how much the text resembles the
examples at all, so that what none of them is about can be told apart.

Method, constants and what they were chosen on: docs/decisions/0016. Numbers: `evals run intent`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHARPNESS = 2.0  # of the embedding's kernel exp(s * (cosine - 1))
WORDS = 0.2  # weight of the words' kernel, a cosine of tf-idf vectors
RIDGE = 0.03  # weight of the penalty
STEPS = 24
CURVATURE = 0.1  # the expected p * (1 - p); too small a guess is mended by smaller steps
_WORD = re.compile(r"\w+")

Array = NDArray[np.float32]


class Guess(NamedTuple):
    """The likeliest label of a text."""

    label: str
    probability: float  # among the labels, in [0, 1]
    scope: float  # likeness to the examples: 1 for one of them, around 0 and below for the foreign
    second: str  # the next likeliest; the same where there is only one
    second_probability: float


class Classifier:
    """Made with `fit`; a guess takes a fraction of a millisecond."""

    def __init__(
        self,
        labels: Sequence[str],
        vectors: Array,  # (examples, dimensions), unit length
        centre: Array,
        means: Array,  # (labels, dimensions), unit length
        weights: Array,  # (examples, labels)
        words: Words,
    ) -> None:
        self.labels = list(labels)
        self._vectors, self._centre, self._means = vectors, centre, means
        self._centred = _unit(vectors - centre)
        self._weights, self._words = weights, words

    @classmethod
    def fit(cls, texts: Sequence[str], labels: Sequence[str], vectors: Array) -> Classifier:
        """Return the classifier of `texts` with their labels and vectors.

        1 500 examples of 150 labels take about half a second, a hundred a few milliseconds.
        Raises ValueError when there are fewer than two labels.
        """
        names = list(dict.fromkeys(labels))
        if len(names) < 2:
            raise ValueError("a classifier needs at least two labels")
        places = {name: place for place, name in enumerate(names)}
        targets = np.zeros((len(texts), len(names)), np.float32)
        targets[np.arange(len(texts)), [places[label] for label in labels]] = 1
        vectors = np.asarray(vectors, np.float32)
        centre = vectors.mean(axis=0)
        centred = _unit(vectors - centre)
        words = Words(texts)
        kernel = np.exp(SHARPNESS * (centred @ centred.T - 1)) + WORDS * words.gram()
        weights = regress(kernel.astype(np.float32), targets)
        return cls(names, vectors, centre, _unit(targets.T @ vectors), weights, words)

    def guess(self, text: str, vector: Array) -> Guess:
        """Return the likeliest label of `text`, whose vector has unit length."""
        kernel = np.exp(SHARPNESS * (self._centred @ _unit(vector - self._centre) - 1))
        kernel += WORDS * self._words.likeness(text)
        scores = kernel @ self._weights
        scores = np.exp(scores - scores.max())
        shares = scores / scores.sum()
        best = int(shares.argmax())
        entropy = -float((shares * np.log(shares + 1e-9)).sum())
        near = float((self._vectors @ vector).max()) + float((self._means @ vector).max())
        scope = (float(shares[best]) + near / 2 - 0.3 * entropy) / 2
        second = int(np.argsort(shares)[-2]) if len(shares) > 1 else best
        return Guess(
            self.labels[best],
            float(shares[best]),
            scope,
            self.labels[second],
            float(shares[second]),
        )


class Words:
    """How alike texts are in their words and neighbouring pairs of words."""

    def __init__(self, texts: Sequence[str]) -> None:
        """texts: the examples; what stands in few of them counts more (tf-idf, smoothed)."""
        self._rows = len(texts)
        counted = [_terms(text) for text in texts]
        frequency: dict[str, int] = {}
        for terms in counted:
            for term in terms:
                frequency[term] = frequency.get(term, 0) + 1
        self._rarity = {
            term: math.log((1 + self._rows) / (1 + n)) + 1 for term, n in frequency.items()
        }
        postings: dict[str, tuple[list[int], list[float]]] = {}
        for row, terms in enumerate(counted):
            for term, weight in self._weigh(terms):
                rows, weights = postings.setdefault(term, ([], []))
                rows.append(row)
                weights.append(weight)
        self._postings = {
            term: (np.array(rows), np.array(weights, np.float32))
            for term, (rows, weights) in postings.items()
        }

    def likeness(self, text: str) -> Array:
        """Return the cosine of `text` with each example."""
        found = np.zeros(self._rows, np.float32)
        for term, weight in self._weigh(_terms(text)):
            rows, weights = self._postings[term]
            found[rows] += weight * weights  # a row stands once in the list of a term
        return found

    def gram(self) -> Array:
        """Return the cosine of each example with each other one."""
        found = np.zeros((self._rows, self._rows), np.float32)
        for rows, weights in self._postings.values():
            found[np.ix_(rows, rows)] += np.outer(weights, weights)
        return found

    def _weigh(self, terms: dict[str, int]) -> Iterable[tuple[str, float]]:
        """Yield the terms that are known with their weights, of unit length together."""
        known = {
            term: (1 + math.log(count)) * self._rarity[term]
            for term, count in terms.items()
            if term in self._rarity
        }
        length = math.sqrt(sum(weight * weight for weight in known.values()))
        for term, weight in known.items():
            yield term, weight / length


def regress(kernel: Array, targets: Array) -> Array:
    """Return the weights (examples, labels) of penalised kernel logistic regression.

    Nesterov's accelerated steps in the metric of a fixed bound of the curvature (Böhning 1992):
    one inversion, then only products. A step that makes things worse is halved and taken again.
    """
    identity = np.eye(len(kernel), dtype=np.float32)
    metric: Array = np.linalg.inv(CURVATURE * kernel + RIDGE * identity).astype(np.float32)
    weights = ahead = np.zeros_like(targets)
    fitted = fitted_ahead = np.zeros_like(targets)  # kernel @ the line above
    momentum, step, least = 1.0, 1.0, math.inf
    for _ in range(STEPS):
        gradient = _softmax(fitted_ahead) - targets + RIDGE * ahead
        move = metric @ gradient
        new = ahead - step * move
        # kernel @ move, without another product: the kernel stands in the metric
        new_fitted = fitted_ahead - step * (gradient - RIDGE * move) / CURVATURE
        loss = _loss(new_fitted, targets) + RIDGE / 2 * float((new * new_fitted).sum())
        if loss > least:
            ahead, fitted_ahead, momentum = weights, fitted, 1.0
            step /= 2
            continue
        least, following = loss, (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        push = (momentum - 1) / following
        ahead = new + push * (new - weights)
        fitted_ahead = new_fitted + push * (new_fitted - fitted)
        weights, fitted, momentum = new, new_fitted, following
    return weights


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _loss(scores: Array, targets: Array) -> float:
    scores = scores - scores.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scores).sum(axis=1)) - (scores * targets).sum(axis=1)).sum())


def _terms(text: str) -> dict[str, int]:
    """Return words and pairs of neighbours, each with how often it occurs."""
    words = _WORD.findall(text.casefold())
    counts: dict[str, int] = {}
    for term in [*words, *(f"{a} {b}" for a, b in pairwise(words))]:
        counts[term] = counts.get(term, 0) + 1
    return counts


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Array = (vectors / np.maximum(length, 1e-9)).astype(np.float32)
    return scaled
