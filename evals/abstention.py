"""Fits the extractive model: which sentence answers, and when none does.

`python -m evals.abstention --data SQUAD --data QED` writes tgi/embedded/parameters.json.
Data: SQuAD (Rajpurkar et al. 2016, 2018; CC BY-SA 4.0), whose questions echo their paragraph,
and QED (Lamm et al. 2020; CC BY-SA 3.0), what people typed into a search engine; each a folder
with corpus.jsonl, queries.jsonl and, if there is one, unanswerable_v2.jsonl, possibly gzipped.
Half of the articles are fitted on, the other half is reported on.
Every question sees what retrieval would bring it: the best five paragraphs by BM25 and
vectors, fused. Three kinds of question:
answerable (the paragraph that answers is among the five), look-alike (asked about a paragraph
that does not answer it) and off-topic (an answerable question against other articles).
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from embeddings.minilm import MiniLM
from evals.cases import Array, Case, Kind, gather
from evals.split import in_first_half
from evals.spread import share
from tgi.embedded import features, parameters
from tgi.embedded.evidence import EMBEDDED
from tgi.embedded.features import LEXICAL, RANKING, SUPPORT

SETS = {
    "squad_v11": "SQuAD 1.1 dev and 2.0 dev unanswerable questions, 24 articles, CC BY-SA 4.0, "
    "github.com/rajpurkar/SQuAD-explorer at e0c66cf",
    "qed_nq": "QED on Natural Questions, half of the pages, CC BY-SA 3.0, "
    "github.com/google-research-datasets/QED at 2492920",
}
FALSE_ABSTENTION = 0.06  # accepted on the fitted half, over all sets
STEPS, RIDGE = 400, 1e-3


@dataclass(slots=True)
class Judged:
    """What the fitted models make of a case."""

    source: int  # of the best sentence
    right: bool
    margin: float = 0.0


def main(
    data: Annotated[
        list[Path], typer.Option(exists=True, file_okay=False, help="Folder of a set.")
    ],
    output: Annotated[Path, typer.Option(help="Where the numbers go.")] = parameters.FILE,
) -> None:
    """Fit, report on the other half of the articles, and write the parameters."""
    embedder = MiniLM.load()
    try:
        cases = asyncio.run(gather(data, embedder))
    finally:
        embedder.close()
    train = [case for case in cases if in_first_half(case.article)]
    test = [case for case in cases if not in_first_half(case.article) and not case.sampled]
    stored = fit(train)
    output.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    fitted = parameters.load(output)
    report = {
        name: measure([case for case in test if case.data == name], fitted)
        for name in dict.fromkeys(case.data for case in test)
    }
    stored["lineage"] = {
        "by": "python -m evals.abstention",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "data": {folder.name: SETS.get(folder.name, "") for folder in data},
        "embedding_model": MiniLM.name,
        "split": "articles by the first bit of the SHA-256 of their title; 0 fitted, 1 reported",
        "fitted_on": counted(train),
        "reported_on": counted(test),
    }
    stored["report"] = report
    output.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def fit(train: Sequence[Case]) -> dict[str, Any]:
    """Return the parameters as they are stored: prefilter, ranking, support, threshold."""
    answerable = [case for case in train if case.kind == "answerable" and case.right.any()]
    prefilter = choose([(case.lexical, case.right) for case in answerable])
    kept = [(case, keep(case, prefilter)) for case in answerable]
    ranking = choose(
        [(rank_rows(case, rows), case.right[rows]) for case, rows in kept if case.right[rows].any()]
    )
    usable = [case for case in train if case.kind != "answerable" or case.gold >= 0]
    table = np.array([support_row(case, prefilter, ranking) for case in usable])
    answers = np.array([case.kind == "answerable" for case in usable])
    weights, intercept = separate(table, answers)
    whole = np.array([not case.sampled for case in usable])
    threshold = float(np.quantile(table[answers & whole] @ weights + intercept, FALSE_ABSTENTION))
    return {
        "lineage": {},
        "report": {},
        "threshold": round(threshold, 4),
        "intercept": round(intercept, 4),
        "prefilter": named(LEXICAL, prefilter),
        "ranking": named(RANKING, ranking),
        "support": named(SUPPORT, weights),
    }


def separate(table: Array, answers: NDArray[np.bool_]) -> tuple[Array, float]:
    """Return weights and intercept of a logistic regression in which evidence only counts for.

    A feature that says "this supports an answer" may not lower the odds, one that says
    "something is missing" may not raise them (features.SIGNS). Without that, correlated
    features get weights of opposite sign that hold on one kind of text only.
    By projected gradient descent with momentum on standardised features.
    """
    middle, spread = table.mean(axis=0), table.std(axis=0) + 1e-9
    scaled = (table - middle) / spread
    signs = np.array([features.SIGNS[name] for name in SUPPORT])
    weights, speed = np.zeros(table.shape[1]), np.zeros(table.shape[1])
    intercept = 0.0
    for _ in range(5 * STEPS):
        belief = 1 / (1 + np.exp(-(scaled @ weights + intercept)))
        slope = scaled.T @ (belief - answers) / len(answers) + 2 * RIDGE * weights
        speed = 0.9 * speed - 0.2 * slope
        moved = weights + speed
        weights = np.where(signs * moved < 0, 0.0, moved)
        speed = np.where(signs * moved < 0, 0.0, speed)
        intercept -= 0.2 * float(np.mean(belief - answers))
    weights = weights / spread
    return weights, intercept - float(weights @ middle)


def measure(test: Sequence[Case], fitted: parameters.Parameters) -> dict[str, Any]:
    """Return what the models reach on articles that they were not fitted on."""
    judged: dict[Kind, list[Judged]] = {"answerable": [], "look-alike": [], "off-topic": []}
    first_by_retrieval = []
    for case in test:
        rows = keep(case, fitted.prefilter)
        scores = rank_rows(case, rows) @ fitted.ranking
        best = rows[int(np.argmax(scores))]
        margin = float(support_row(case, fitted.prefilter, fitted.ranking) @ fitted.support)
        judged[case.kind].append(
            Judged(case.found[best].source, bool(case.right[best]), margin + fitted.intercept)
        )
        if case.kind == "answerable":
            first_by_retrieval.append(case.gold)
    answered = [
        one for one, gold in zip(judged["answerable"], first_by_retrieval, strict=True) if gold >= 0
    ]

    def abstains(cases: Sequence[Judged]) -> Any:
        return share([one.margin < fitted.threshold for one in cases])

    def area(negatives: Sequence[Judged]) -> float:
        truth = [1] * len(answered) + [0] * len(negatives)
        return round(
            float(roc_auc_score(truth, [one.margin for one in [*answered, *negatives]])), 4
        )

    report = {
        "gold_paragraph_first_by_retrieval": share([gold == 0 for gold in first_by_retrieval]),
        "gold_paragraph_cited_first": share(
            [
                one.source == gold and one.margin >= fitted.threshold
                for one, gold in zip(judged["answerable"], first_by_retrieval, strict=True)
            ]
        ),
        "best_sentence_holds_answer": share([one.right for one in judged["answerable"]]),
        "false_abstention": abstains(answered),
    }
    for kind in ("look-alike", "off-topic"):
        if cases := judged[kind]:
            report[f"abstains_on_{kind}"] = abstains(cases)
            report[f"auroc_{kind}"] = area(cases)
    return report


def keep(case: Case, prefilter: Array) -> NDArray[np.intp]:
    """Return the candidates that would be embedded, in reading order, as the model does it."""
    return np.sort(np.argsort(-(case.lexical @ prefilter), kind="stable")[:EMBEDDED])


def rank_rows(case: Case, rows: NDArray[np.intp]) -> Array:
    """Return the RANKING features of some candidates of a case."""
    return features.ranking(case.lexical[rows], case.cosines[rows])


def support_row(case: Case, prefilter: Array, ranking: Array) -> Array:
    """Return the SUPPORT features of a case."""
    rows = keep(case, prefilter)
    table = rank_rows(case, rows)
    scores = table @ ranking
    order = np.argsort(-scores, kind="stable")
    ranked = [case.found[rows[index]] for index in order]
    return features.support(
        case.question, case.sources, case.found, ranked, table[order], scores[order]
    )


def choose(groups: Sequence[tuple[Array, NDArray[np.bool_]]]) -> Array:
    """Return the weights under which the right rows of each group get the largest shares.

    A conditional logit (McFadden 1974) with several right rows allowed, by gradient descent
    with momentum on standardised features.
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
        slope = scaled.T @ (shares - among_right) / len(sizes) + 2 * RIDGE * weights
        speed = 0.9 * speed - 0.2 * slope
        weights += speed
    return np.asarray(weights / spread, dtype=np.float64)


def named(names: Sequence[str], weights: Array) -> dict[str, float]:
    """Return the weights by the name of their feature."""
    return {name: round(float(weight), 5) for name, weight in zip(names, weights, strict=True)}


def counted(cases: Sequence[Case]) -> dict[str, int]:
    """Return how many cases of each set and kind there are."""
    return dict(Counter(f"{case.data} {case.kind}" for case in cases))


if __name__ == "__main__":
    typer.run(main)
