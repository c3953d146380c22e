"""Fits the three models of the extractive answers, on cases as evals/cases.py makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from core.split import digest
from evals.cases import Array, Case, Marks
from evals.measuring import support_row
from tgi.embedded.context import compare, likeliest
from tgi.embedded.features import LEXICAL
from tgi.embedded.support import RANKING, SIGNS, SUPPORT

FALSE_ABSTENTION = 0.05  # accepted on the fitted half, of each set
FOLDS = 4  # by article: no case is judged by a model that was fitted on its article
STEPS, RIDGE = 400, 1e-3
DIRECTIONS = 48  # of the vectors, whose worth is fitted
DIRECTIONS_RIDGE = 1e-2
LOOK_ALIKE_WEIGHT = 1.5  # they are the hard ones
TREES: dict[str, Any] = {
    "max_iter": 300,
    "max_leaf_nodes": 5,
    "learning_rate": 0.05,
    "l2_regularization": 10,
    "min_samples_leaf": 60,
    "max_features": 0.3,
    "random_state": 0,
}


class Read(NamedTuple):
    """A case whose likeliest windows were read."""

    case: Case
    fold: int
    rows: NDArray[np.intp]  # the candidates in them
    table: Array  # (rows, RANKING features without "meaning", then products by direction)


def fit(train: Sequence[Case]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the parameters as they are stored: what can be read, and long arrays."""
    right = [case for case in train if case.kind == "answerable" and case.target.any()]
    prefilter = choose([(case.lexical, case.target) for case in right])
    directions = main_directions(right)
    read = [look(case, prefilter, directions) for case in train if case.windows]
    usable = [one for one in read if one.case.kind != "answerable" or one.case.gold >= 0]
    weights = rank(read)
    by_fold = {fold: rank([one for one in read if one.fold != fold]) for fold in range(FOLDS)}
    # What the third model learns from was ranked by weights that do not know the article.
    rows = np.array([support_row(one.case, one.rows, *scored(one, by_fold)) for one in usable])
    trees, threshold = separate(usable, rows)
    inner = len(RANKING) - 1
    return {
        "lineage": {},
        "report": {},
        "threshold": round(threshold, 4),
        "prefilter": named(LEXICAL, prefilter),
        "ranking": named(RANKING, np.append(weights[:inner], 1.0)),
        "support": list(SUPPORT),
    }, {
        "directions": directions.astype(np.float16),
        "weights": weights[inner:].astype(np.float32),
        **trees,
    }


def main_directions(cases: Sequence[Case]) -> NDArray[np.float32]:
    """Return the directions in which questions and their answers differ most: singular vectors."""
    vectors = []
    for case in cases:
        vectors.append(case.asked.vector)
        told = compare(case.asked, case.windows, case.readings)[1]
        kept = [row for window in case.windows for row in window.rows]
        vectors.append(told[kept.index(int(np.argmax(case.target)))])
    found = np.linalg.svd(np.stack(vectors), full_matrices=False)[2][:DIRECTIONS]
    return np.asarray(found.T.astype(np.float16), np.float32)


def look(case: Case, prefilter: Array, directions: NDArray[np.float32]) -> Read:
    """Return what the model would read of a case."""
    chosen = likeliest(case.windows, case.lexical @ prefilter)
    reading = dict(zip((id(window) for window in case.windows), case.readings, strict=True))
    context, vectors = compare(case.asked, chosen, [reading[id(window)] for window in chosen])
    rows = np.array([row for window in chosen for row in window.rows], np.intp)
    products = (vectors @ directions) * (case.asked.vector @ directions)
    table = np.column_stack([case.lexical[rows], context, products])
    return Read(case, digest(case.article)[1] % FOLDS, rows, table)


def rank(read: Sequence[Read]) -> Array:
    """Return the weights that rank the sentences of answerable questions."""
    groups = [
        (one.table, marks)
        for one in read
        if one.case.kind == "answerable" and (marks := one.case.target[one.rows]).any()
    ]
    ridge = np.full(len(RANKING) - 1 + DIRECTIONS, RIDGE)
    ridge[-DIRECTIONS:] = DIRECTIONS_RIDGE
    return choose(groups, ridge)


def scored(one: Read, by_fold: dict[int, Array]) -> tuple[Array, Array]:
    """Return the RANKING features of a case and its scores, by weights fitted on others."""
    weights, inner = by_fold[one.fold], len(RANKING) - 1
    meaning = one.table[:, inner:] @ weights[inner:]
    return np.column_stack([one.table[:, :inner], meaning]), one.table @ weights


def separate(read: Sequence[Read], rows: Array) -> tuple[dict[str, NDArray[Any]], float]:
    """Return trees in which evidence only counts for an answer, and from where on it is enough.

    A feature that says "this supports an answer" may not lower the odds, one that says "something
    is missing" may not raise them (SIGNS). Fitted freely, correlated features get opposite signs
    that hold on one kind of text only.
    """
    answers = np.array([one.case.kind == "answerable" for one in read])
    weights = np.where([one.case.kind == "look-alike" for one in read], LOOK_ALIKE_WEIGHT, 1.0)
    folds = np.array([one.fold for one in read])
    names = np.array([one.case.data for one in read])
    whole = answers & np.array([not one.case.sampled for one in read])
    margins = np.zeros(len(read))
    for fold in range(FOLDS):
        others, own = folds != fold, folds == fold
        if own.any():
            margins[own] = grown(rows[others], answers[others], weights[others]).decision_function(
                rows[own]
            )
    threshold = min(
        float(np.quantile(margins[whole & (names == name)], FALSE_ABSTENTION))
        for name in set(names)
    )
    return exported(grown(rows, answers, weights)), threshold


def grown(rows: Array, answers: Marks, weights: Array) -> HistGradientBoostingClassifier:
    """Return boosted trees, monotone as SIGNS says."""
    model = HistGradientBoostingClassifier(monotonic_cst=list(SIGNS.values()), **TREES)
    return model.fit(rows, answers, sample_weight=weights)


def exported(model: HistGradientBoostingClassifier) -> dict[str, NDArray[Any]]:
    """Return the trees as tgi/embedded/trees.py reads them."""
    nodes = [one[0].nodes for one in model._predictors]
    starts = np.cumsum([0, *(len(tree) for tree in nodes)])[:-1]
    together = np.concatenate(nodes)
    shift = np.repeat(starts, [len(tree) for tree in nodes])
    leaf = together["is_leaf"].astype(bool)
    value = np.where(leaf, together["value"], 0.0)
    value[: len(nodes[0])] += np.where(
        leaf[: len(nodes[0])], float(np.ravel(model._baseline_prediction)[0]), 0.0
    )
    return {
        "roots": starts.astype(np.int16),
        "feature": np.where(leaf, -1, together["feature_idx"]).astype(np.int16),
        "threshold": np.where(leaf, 0.0, together["num_threshold"]),
        "left": np.where(leaf, 0, together["left"] + shift).astype(np.int16),
        "right": np.where(leaf, 0, together["right"] + shift).astype(np.int16),
        "value": value,
    }


def choose(groups: Sequence[tuple[Array, Marks]], ridge: float | Array = RIDGE) -> Array:
    """Return the weights under which the right rows of each group get the largest shares.

    A conditional logit (McFadden 1974) with several right rows allowed, by gradient descent
    with momentum on standardised features. ridge: one for all, or one for each feature.
    """
    rows = np.concatenate([table for table, _ in groups])
    right = np.concatenate([marks for _, marks in groups]).astype(np.float64)
    sizes = np.array([len(marks) for _, marks in groups])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    group = np.repeat(np.arange(len(sizes)), sizes)
    spread = rows.std(axis=0) + 1e-9
    scaled = (rows - rows.mean(axis=0)) / spread
    weights = np.zeros(rows.shape[1])
    speed = np.zeros_like(weights)
    for _ in range(STEPS):
        scores = scaled @ weights
        scores -= np.maximum.reduceat(scores, starts)[group]
        shares = np.exp(scores)
        shares /= np.add.reduceat(shares, starts)[group]
        among_right = shares * right / np.add.reduceat(shares * right, starts)[group]
        slope = scaled.T @ (shares - among_right) / len(sizes) + 2 * ridge * weights
        speed = 0.9 * speed - 0.2 * slope
        weights += speed
    return np.asarray(weights / spread, dtype=np.float64)


def named(names: Sequence[str], weights: Array) -> dict[str, float]:
    """Return the weights by the name of their feature."""
    return {name: round(float(weight), 5) for name, weight in zip(names, weights, strict=True)}
