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
import gzip
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score

from embeddings.minilm import MiniLM
from evals.split import digest, in_first_half
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
QUESTIONS = 5000  # of each set at most, by hash
SETS = {
    "squad_v11": "SQuAD 1.1 dev and 2.0 dev unanswerable questions, 24 articles, CC BY-SA 4.0, "
    "github.com/rajpurkar/SQuAD-explorer at e0c66cf",
    "qed_nq": "QED on Natural Questions, half of the pages, CC BY-SA 3.0, "
    "github.com/google-research-datasets/QED at 2492920",
}
FALSE_ABSTENTION = 0.06  # accepted on the fitted half, over all sets
STEPS, RIDGE = 400, 1e-3


@dataclass(slots=True)
class Case:
    """One question with the sources that retrieval brought."""

    data: str  # name of the set
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


async def gather(folders: Sequence[Path], embedder: MiniLM) -> list[Case]:
    """Return every question of the sets with its sources, vectors and features."""
    embed = Remembered(embedder)
    cases = []
    for folder in folders:
        corpus, asked, alike = (
            read(folder, name) for name in ("corpus", "queries", "unanswerable_v2")
        )
        title = {row["id"]: row["title"] for row in corpus}
        asked = sorted(asked, key=lambda row: digest(row["qid"]))[:QUESTIONS]
        retrieve = await fused(corpus, embedder)
        kinds: list[tuple[Kind, list[dict[str, Any]]]] = [
            ("answerable", asked),
            ("look-alike", alike),
            ("off-topic", asked),
        ]
        for kind, rows in kinds:
            for row in rows:
                article = title[row["doc"]]
                cases += await make(folder.name, kind, row, article, corpus, retrieve, embed)
    return cases


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of NAME.jsonl or NAME.jsonl.gz; none when there is no such file."""
    plain, packed = folder / f"{name}.jsonl", folder / f"{name}.jsonl.gz"
    if plain.exists():
        lines = plain.read_text(encoding="utf-8")
    elif packed.exists():
        lines = gzip.decompress(packed.read_bytes()).decode("utf-8")
    else:
        return []
    return [json.loads(line) for line in lines.split("\n") if line]


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
    data: str,
    kind: Kind,
    row: dict[str, Any],
    article: str,
    corpus: list[dict[str, Any]],
    retrieve: Retrieve,
    embed: Remembered,
) -> list[Case]:
    """Return the case of one question and, for fitting, the same with fewer sources."""
    text = row["question"]
    vector = await embed.embedder.query(text)
    places = retrieve(text, vector, article if kind == "off-topic" else None)
    question = Question(text)
    fewer = 1 + digest(row["qid"])[0] % SOURCES
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
                data=data,
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
    articles = np.array([row["title"] for row in corpus])

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
