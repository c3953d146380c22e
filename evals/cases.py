"""Questions of public sets with the sources that retrieval would bring them."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from embeddings.minilm import MiniLM
from evals.split import digest
from tgi.embedded import features
from tgi.embedded.features import Candidate
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question
from tgi.embedded.words import content, words

Kind = Literal["answerable", "look-alike", "off-topic"]
Array = NDArray[np.float64]

SOURCES = 5
CANDIDATES = 100  # per retriever, before fusion
QUESTIONS = 5000  # of each set at most, by hash


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
