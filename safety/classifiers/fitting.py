"""How the linear models learn, and where their thresholds come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]  # has no stubs
from sklearn.linear_model import LogisticRegression

from core.split import digest
from safety.classifiers.features import Floats, Seen, Vocabulary, dense
from safety.classifiers.model import HARMLESS, Model

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
TAIL = 0.1  # of the look-alikes, whose scores say how fast the others fall
FOLDS = 10
LEAST_TEXTS = 3  # that a term stands in
STEPS = 3000


@dataclass(frozen=True, slots=True)
class Example:
    """One text to learn from."""

    text: str
    label: str  # HARMLESS or a kind
    source: str
    group: str  # near-duplicates share it
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """Examples with what is seen of them, row by row."""

    examples: Sequence[Example]
    seen: Sequence[Seen]
    vectors: Floats

    def rows(self, chosen: NDArray[np.intp]) -> Table:
        """Return some of the rows."""
        return Table(
            [self.examples[n] for n in chosen], [self.seen[n] for n in chosen], self.vectors[chosen]
        )


def fit(table: Table, strength: float, lineage: Mapping[str, Any]) -> Model:
    """Return the model of a table, without thresholds. strength: C, the inverse of the penalty."""
    counts = Counter(term for one in table.seen for term in one.terms)
    kept = sorted(term for term, n in counts.items() if n >= LEAST_TEXTS)
    vocabulary = Vocabulary({term: place for place, term in enumerate(kept)})
    labels = [HARMLESS, *sorted({one.label for one in table.examples} - {HARMLESS})]
    found = LogisticRegression(C=strength, max_iter=STEPS).fit(
        _matrix(table, vocabulary),
        [labels.index(one.label) for one in table.examples],
        sample_weight=[one.weight for one in table.examples],
    )
    weights, bias = found.coef_, found.intercept_
    if len(labels) == 2:  # scikit-learn keeps one row then
        weights, bias = np.vstack([-weights / 2, weights / 2]), np.array([-bias[0], bias[0]]) / 2
    width = weights.shape[1] - len(kept)
    # As they will be stored, so that a score is the same before and after.
    return Model(
        tuple(labels),
        weights[:, :width].T.astype(np.float16).astype(np.float32),
        weights[:, width:].T.astype(np.float16).astype(np.float32),
        bias.astype(np.float32),
        vocabulary,
        (),
        lineage,
    )


def _matrix(table: Table, vocabulary: Vocabulary) -> Any:
    rows = np.stack([dense(v, one.marks) for v, one in zip(table.vectors, table.seen, strict=True)])
    values: list[float] = []
    places: list[int] = []
    ends = [0]
    for one in table.seen:
        known, worth = vocabulary.known(one.terms)
        places += known
        values += [worth] * len(known)
        ends.append(len(places))
    words = csr_matrix((values, places, ends), shape=(len(table.seen), len(vocabulary.places)))
    return hstack([csr_matrix(rows), words]).tocsr()


def unseen_scores(
    table: Table, strength: float, *, always: Sequence[str], folds: int = FOLDS
) -> NDArray[np.float64]:
    """Return the log odds of each row under a model that did not learn from its group.

    always: sources that every model learns from; their rows are nan.
    """
    fold = np.array(
        [-1 if one.source in always else digest(one.group)[1] % folds for one in table.examples]
    )
    odds = np.full(len(table.examples), np.nan)
    for number in range(folds):
        own = np.flatnonzero(fold == number)
        if len(own):
            model = fit(table.rows(np.flatnonzero(fold != number)), strength, {})
            odds[own] = log_odds(model, table.rows(own))
    return odds


def log_odds(model: Model, table: Table) -> NDArray[np.float64]:
    """Return the log odds of each row that it is not harmless."""
    return np.array(
        [_odds(model.judge(s, v).score) for s, v in zip(table.seen, table.vectors, strict=True)]
    )


def thresholds(harmless: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Return the score for each of RATES, from the log odds of harmless look-alikes.

    There are too few of them to count one in a thousand: from the highest tenth on, their number
    is taken to fall exponentially (the peaks-over-threshold method, Davison & Smith 1990, with an
    exponential tail).
    """
    start = float(np.quantile(harmless, 1 - TAIL))
    slope = float(np.mean(harmless[harmless > start] - start))
    odds = [start + slope * float(np.log(TAIL / rate)) for rate in RATES]
    return tuple(
        (rate, round(1 / (1 + float(np.exp(-one))), 6))
        for rate, one in zip(RATES, odds, strict=True)
    )


def highest(
    recorded: Sequence[Sequence[tuple[float, float]]],
) -> tuple[tuple[float, float], ...]:
    """Return for each rate the highest of several thresholds, so that it holds in every pool."""
    return tuple(max(those) for those in zip(*recorded, strict=True))


def _odds(score: float) -> float:
    kept = min(max(score, 1e-12), 1 - 1e-12)
    return float(np.log(kept / (1 - kept)))
