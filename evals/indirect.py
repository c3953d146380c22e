"""Are instructions found inside documents and results of tools, and ordinary texts left alone?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from embeddings.base import Embedder
from evals.injection import Scores, auroc, counted
from evals.spread import Share, share
from safety.classifiers import planting, sources
from safety.classifiers.model import HARMLESS
from safety.classifiers.pieces import Kind, pieces
from safety.policy import Policies
from safety.untrusted import Untrusted

DOCS = Path(__file__).resolve().parents[1] / "docs"
EVERY = 4  # paragraph of the large sets
Rows = Sequence[Mapping[str, Any]]


async def run(data: Path, embedder: Embedder) -> dict[str, Any]:
    """Return the figures of texts that share nothing with what was learned; {} without the sets."""
    try:
        _, _, documents = planting.bipia(data)
        _, results = planting.injecagent(data)
    except FileNotFoundError:
        return {}
    ours = Untrusted.load(embedder)
    rates = Policies.load().general.checks.untrusted
    used = rates.block_rate or 0.005, rates.warn_rate or 0.05
    report: dict[str, Any] = {"block_rate": used[0], "warn_rate": used[1]}
    plain = await regression(planting.documents(data), embedder)
    report |= await separated(
        "bipia", documents, "context", "document", ours, plain, embedder, used
    )
    report |= await separated(
        "injecagent", results, "tool_response", "tool_result", ours, plain, embedder, used
    )
    report["false_positives"] = {
        name: await flagged(texts, "document", ours, used)
        for name, texts in ordinary(data).items()
        if texts
    }
    return report


async def separated(
    name: str,
    rows: Rows,
    field: str,
    kind: Kind,
    ours: Untrusted,
    plain: LogisticRegression,
    embedder: Embedder,
    rates: tuple[float, float],
) -> dict[str, Any]:
    """Return how texts with an instruction are told from the same texts without one."""
    texts = [str(row[field]) for row in rows]
    guilty = np.array([row["label"] == 1 for row in rows])
    scores = np.array([await worst(text, kind, ours) for text in texts])

    async def vectors(cut: Callable[[str], list[str]]) -> Scores:
        return np.array([await _highest(cut(text), plain, embedder) for text in texts])

    report: dict[str, Any] = {f"{name}_auroc": _told(scores, guilty)}
    tasks = {str(row["task"]) for row in rows if "task" in row}
    for task in sorted(tasks):
        of_task = np.array([row["task"] == task for row in rows])
        report[f"{name}_{task}_auroc"] = _told(scores[of_task], guilty[of_task])
    report[f"{name}_baselines"] = {
        "patterns_auroc": _told(np.array(counted(texts)), guilty),
        "logistic_regression_sentences_auroc": _told(
            await vectors(lambda text: [text[a:b] for a, b in pieces(text, kind)]), guilty
        ),
        "logistic_regression_whole_auroc": _told(await vectors(lambda text: [text]), guilty),
    }
    for severity, rate in zip(("high", "medium"), rates, strict=True):
        hit = [bool(score >= ours.model.threshold(rate)) for score in scores]
        report[f"{name}_{severity}"] = {
            "recall": share([h for h, g in zip(hit, guilty, strict=True) if g]),
            "false_positives": share([h for h, g in zip(hit, guilty, strict=True) if not g]),
        }
    return report


async def worst(text: str, kind: Kind, ours: Untrusted) -> float:
    """Return the highest score of a sentence, 0 where none could be an instruction."""
    return max((score for _, score, _ in await ours.scores(text, kind)), default=0.0)


async def flagged(
    texts: Sequence[str], kind: Kind, ours: Untrusted, rates: tuple[float, float]
) -> dict[str, Share]:
    """Return in which share of ordinary texts a sentence is hit."""
    block, warn = rates
    found = [await ours.screen(text, kind=kind, block_rate=block, warn_rate=warn) for text in texts]
    return {
        "high": share([any(hit.severity == "high" for hit in hits) for hits in found]),
        "high_or_medium": share([bool(hits) for hits in found]),
    }


def ordinary(data: Path) -> dict[str, list[str]]:
    """Return passages that nobody put an instruction into: of sets, and of our documentation."""
    faq = sources.halves(data, "dstc9_faq")[1][::EVERY]
    return {
        "squad": [str(row["text"]) for row in sources.rows(data, "squad_v11")][::EVERY],
        "docs_qa": [
            part for row in sources.rows(data, "docs_qa") for part in _parts(str(row["text"]))
        ],
        "faq": [f"{row['title']}\n{row['body']}" for row in faq],
        "our_docs": [
            part
            for path in sorted(DOCS.rglob("*.md"))
            for part in path.read_text(encoding="utf-8").split("\n## ")
        ],
    }


def _parts(text: str, characters: int = 1200) -> list[str]:
    return [text[at : at + characters] for at in range(0, len(text), characters)]


async def regression(learned: Sequence[planting.Planted], embedder: Embedder) -> LogisticRegression:
    """Return logistic regression over the vectors of every sentence of the learned texts."""
    labels: dict[str, bool] = {}
    for one in learned:
        for start, stop in pieces(one.text, one.kind):
            planted = one.label != HARMLESS and start < one.stop and stop > one.start
            text = one.text[start:stop]
            labels[text] = labels.get(text, False) or planted
    vectors = await embedder.passages(list(labels))
    return LogisticRegression(C=30, max_iter=2000).fit(vectors, list(labels.values()))


async def _highest(texts: Sequence[str], plain: LogisticRegression, embedder: Embedder) -> float:
    if not texts:
        return -99.0
    return float(plain.decision_function(await embedder.passages(texts)).max())


def _told(scores: NDArray[Any], guilty: NDArray[np.bool_]) -> float:
    return auroc(scores[guilty], scores[~guilty])
