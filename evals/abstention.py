"""Fits the extractive model: which sentence answers, and when none does.

`python -m evals.abstention --data FOLDER` writes tgi/embedded/parameters.json.
Data: SQuAD (Rajpurkar et al. 2016, 2018; CC BY-SA 4.0) as corpus.jsonl, queries.jsonl and
unanswerable_v2.jsonl. Half of the articles are fitted on, the other half is reported on.
Every question sees what retrieval would bring it: the best five paragraphs by BM25 and
vectors, fused. Three kinds of question:
answerable (the paragraph that answers is among the five), look-alike (asked about a paragraph
that does not answer it) and off-topic (an answerable question against other articles).
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from embeddings.minilm import MiniLM
from evals.spread import share
from tgi.embedded import features, parameters
from tgi.embedded.evidence import EMBEDDED
from tgi.embedded.features import LEXICAL, RANKING, SUPPORT, Candidate
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question
from tgi.embedded.words import content, words

Kind = Literal["answerable", "look-alike", "off-topic"]
Array = NDArray[np.float64]

SOURCES = 5
CANDIDATES = 100  # per retriever, before fusion
FALSE_ABSTENTION = 0.045  # on the fitted half; other articles come out a little higher
STEPS, RIDGE = 400, 1e-3


@dataclass(slots=True)
class Case:
    """One question with the sources that retrieval brought."""

    kind: Kind
    article: str
    question: Question
    sources: list[Source]
    found: list[Candidate]
    right: NDArray[np.bool_]  # per candidate: it holds a gold answer, in the gold paragraph
    gold: int  # index of the gold paragraph among the sources, or -1
    lexical: Array
    cosines: NDArray[np.float32]
    sampled: bool  # fewer sources than retrieval brought: only for fitting


@dataclass(slots=True)
class Judged:
    """What the fitted models make of a case."""

    source: int  # of the best sentence
    right: bool
    margin: float = 0.0


def main(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the set.")],
    output: Annotated[Path, typer.Option(help="Where the numbers go.")] = parameters.FILE,
) -> None:
    """Fit, report on the other half of the articles, and write the parameters."""
    cases = asyncio.run(gather(data))
    fitted_on = first_half({case.article for case in cases})
    train = [case for case in cases if case.article in fitted_on]
    test = [case for case in cases if case.article not in fitted_on and not case.sampled]
    stored = fit(train)
    output.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    report = measure(test, parameters.load(output))
    stored["lineage"] = {
        "by": "python -m evals.abstention",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "data": "SQuAD 1.1 dev questions and SQuAD 2.0 dev unanswerable questions, 24 articles",
        "source": "github.com/rajpurkar/SQuAD-explorer, commit e0c66cf",
        "licence_of_data": "CC BY-SA 4.0 (Rajpurkar et al. 2016, 2018)",
        "embedding_model": MiniLM.name,
        "fitted_on": sorted(fitted_on),
        "reported_on": sorted({case.article for case in test}),
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
    middle, spread = table.mean(axis=0), table.std(axis=0) + 1e-9
    model = LogisticRegression(max_iter=5000).fit((table - middle) / spread, answers)
    weights = model.coef_[0] / spread
    intercept = float(model.intercept_[0] - weights @ middle)
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

    return {
        "gold_paragraph_first_by_retrieval": share([gold == 0 for gold in first_by_retrieval]),
        "gold_paragraph_cited_first": share(
            [
                one.source == gold and one.margin >= fitted.threshold
                for one, gold in zip(judged["answerable"], first_by_retrieval, strict=True)
            ]
        ),
        "best_sentence_holds_answer": share([one.right for one in judged["answerable"]]),
        "false_abstention": abstains(answered),
        "abstains_on_look_alikes": abstains(judged["look-alike"]),
        "abstains_off_topic": abstains(judged["off-topic"]),
        "auroc_look_alikes": area(judged["look-alike"]),
        "auroc_off_topic": area(judged["off-topic"]),
    }


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


def first_half(articles: set[str]) -> set[str]:
    """Return the half of the articles to fit on: by hash, so that it never changes."""
    ranked = sorted(articles, key=lambda title: hashlib.sha256(title.encode()).hexdigest())
    return set(ranked[: len(ranked) // 2])


async def gather(data: Path) -> list[Case]:
    """Return every question of the set with its sources, vectors and features."""
    corpus, asked, alike = (
        read(data / name) for name in ("corpus.jsonl", "queries.jsonl", "unanswerable_v2.jsonl")
    )
    embedder = MiniLM.load()
    try:
        retrieve = await fused(corpus, embedder)
        embed = Remembered(embedder)
        cases = []
        kinds: list[tuple[Kind, list[dict[str, Any]]]] = [
            ("answerable", asked),
            ("look-alike", alike),
            ("off-topic", asked),
        ]
        for kind, rows in kinds:
            for row in rows:
                cases += await make(kind, row, corpus, retrieve, embed)
        return cases
    finally:
        embedder.close()


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a `.jsonl` file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Remembered:
    """Reads and embeds each sentence once: the same paragraphs come back for many questions."""

    def __init__(self, embedder: MiniLM) -> None:
        self.embedder = embedder
        self._memory: dict[str, NDArray[np.float32]] = {}
        self._first: dict[str, Candidate] = {}

    def candidates(self, sources: Sequence[Source]) -> list[Candidate]:
        """Return the candidates; equal sentences share their words, or memory would not do."""
        found = []
        for candidate in features.candidates(sources):
            first = self._first.setdefault(candidate.text, candidate)
            found.append(replace(candidate, words=first.words, stems=first.stems))
        return found

    async def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of `texts`, in their order."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._memory]
        if missing:
            self._memory.update(zip(missing, await self.embedder.passages(missing), strict=True))
        return np.stack([self._memory[text] for text in texts])


Retrieve = Callable[[str, NDArray[np.float32], str | None], list[int]]


async def make(
    kind: Kind,
    row: dict[str, Any],
    corpus: list[dict[str, Any]],
    retrieve: Retrieve,
    embed: Remembered,
) -> list[Case]:
    """Return the case of one question and, for fitting, the same with fewer sources."""
    text = row["question"]
    article = row["doc"].rsplit("#", 1)[0]
    vector = await embed.embedder.query(text)
    places = retrieve(text, vector, article if kind == "off-topic" else None)
    question = Question(text)
    fewer = 1 + int(hashlib.sha256(row["qid"].encode()).hexdigest(), 16) % SOURCES
    cases = []
    for sampled, chosen in ((False, places), (True, places[:fewer])):
        if sampled and fewer == SOURCES:
            continue
        sources = [
            Source(n, corpus[place]["title"], "", corpus[place]["text"])
            for n, place in enumerate(chosen, 1)
        ]
        found = embed.candidates(sources)
        gold = next((n for n, place in enumerate(chosen) if corpus[place]["id"] == row["doc"]), -1)
        answers = [" ".join(answer.split()) for answer in row.get("answers", ())]
        right = [
            kind == "answerable"
            and candidate.source == gold
            and any(answer in candidate.text for answer in answers)
            for candidate in found
        ]
        cases.append(
            Case(
                kind=kind,
                article=article,
                question=question,
                sources=sources,
                found=found,
                right=np.array(right),
                gold=gold,
                lexical=features.lexical(question, sources, found),
                cosines=await embed.passages([candidate.text for candidate in found]) @ vector,
                sampled=sampled,
            )
        )
    return cases


async def fused(corpus: list[dict[str, Any]], embedder: MiniLM) -> Retrieve:
    """Return a retriever over `corpus`: BM25 and cosine, each scaled to its top 100, added."""
    texts = [f"{row['title']}\n{row['text']}" for row in corpus]
    vectors = await embedder.passages(texts)
    counter = CountVectorizer(analyzer=lambda text: [word.stem for word in content(words(text))])
    counts = counter.fit_transform(texts).astype(float).tocsr()
    weights = bm25(counts)
    articles = np.array([row["id"].rsplit("#", 1)[0] for row in corpus])

    def retrieve(text: str, vector: NDArray[np.float32], without: str | None) -> list[int]:
        asked = counter.transform([text])
        asked.data[:] = 1
        allowed = articles != without
        total = np.zeros(len(corpus))
        for scores in ((asked @ weights.T).toarray()[0], vectors @ vector):
            top = np.argsort(-np.where(allowed, scores, -math.inf), kind="stable")[:CANDIDATES]
            low, high = scores[top[-1]], scores[top[0]]
            total[top] += (scores[top] - low) / (high - low + 1e-9)
        total[~allowed] = -1
        return [int(place) for place in np.argsort(-total, kind="stable")[:SOURCES]]

    return retrieve


def bm25(counts: Any, k1: float = 1.2, b: float = 0.75) -> Any:
    """Return the BM25 weight of each term in each row of a sparse count matrix."""
    rows = counts.shape[0]
    frequency = np.asarray((counts > 0).sum(axis=0)).ravel()
    idf = np.log(1 + (rows - frequency + 0.5) / (frequency + 0.5))
    length = np.asarray(counts.sum(axis=1)).ravel()
    norm = np.repeat(k1 * (1 - b + b * length / length.mean()), np.diff(counts.indptr))
    weights = counts.copy()
    weights.data = counts.data / (counts.data + norm) * idf[counts.indices]
    return weights


if __name__ == "__main__":
    typer.run(main)
