"""What fitted models make of a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from evals.cases import Array, Case
from tgi.embedded.context import likeliest
from tgi.embedded.evidence import measured
from tgi.embedded.parameters import Parameters
from tgi.embedded.support import support


@dataclass(frozen=True, slots=True)
class Judged:
    """The best sentence of a case, and how much speaks for an answer."""

    source: int
    right: bool  # it holds a gold answer
    evidence: bool  # it is the marked one
    margin: float


def judge(case: Case, fitted: Parameters) -> Judged:
    """Return what the models make of a case, as tgi/embedded/evidence.py would."""
    windows = likeliest(case.windows, case.lexical @ fitted.prefilter)
    reading = {id(window): one for window, one in zip(case.windows, case.readings, strict=True)}
    read = [reading[id(window)] for window in windows]
    rows, table = measured(case.lexical, case.asked, windows, read, fitted.meaning)
    scores = table @ fitted.ranking
    best = rows[int(np.argmax(scores))]
    margin = float(fitted.support(support_row(case, rows, table, scores)[None])[0])
    return Judged(
        case.found[best].source, bool(case.right[best]), bool(case.evidence[best]), margin
    )


def support_row(case: Case, rows: NDArray[np.intp], table: Array, scores: Array) -> Array:
    """Return the SUPPORT features of a case.

    rows, table, scores: the candidates that were read, with their RANKING features and scores.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = [case.found[rows[index]] for index in order]
    return support(case.question, case.sources, case.found, ranked, table[order], scores[order])


def area(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the AUROC: how often a positive margin is above a negative one."""
    truth = [1] * len(positives) + [0] * len(negatives)
    return round(float(roc_auc_score(truth, [*positives, *negatives])), 4)
