"""Questions of public sets with the sources that retrieval would bring them."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from core.split import digest, in_first_half
from embeddings.base import Embedder, Encoded
from embeddings.rarity import Rarity
from knowledge.late import Late
from knowledge.search import RERANKED, VECTOR_WEIGHT, blend, fuse
from tgi.embedded import features
from tgi.embedded.context import Asked, Reading, Readings, Window, asked, cut
from tgi.embedded.features import Candidate
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question
from tgi.embedded.words import content, words

Kind = Literal["answerable", "look-alike", "off-topic", "given"]
Array = NDArray[np.float64]
Marks = NDArray[np.bool_]

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
    right: Marks  # per candidate: it holds a gold answer, in the gold paragraph
    evidence: Marks  # per candidate: it is the sentence that people marked
    gold: int  # index of the gold paragraph among the sources, or -1
    lexical: Array
    asked: Asked
    windows: list[Window]
    readings: list[Reading]  # of the windows
    marked: bool  # people marked a sentence of the gold paragraph
    sampled: bool  # fewer sources than retrieval brought: only for fitting

    @property
    def target(self) -> Marks:
        """What is to be ranked first: the marked sentence where there is one."""
        return self.evidence if self.evidence.any() else self.right


async def gather(
    folders: Sequence[Path], embedder: Embedder, *, unseen: bool = False
) -> list[Case]:
    """Return every question of the sets with its sources, as read, and features.

    unseen: only questions about articles that nothing is fitted on.
    """
    rarity = Rarity.load()
    cases = []
    for folder in folders:
        corpus, answerable, alike = (
            read(folder, name) for name in ("corpus", "queries", "unanswerable_v2")
        )
        title = {row["id"]: row["title"] for row in corpus}
        answerable = sorted(answerable, key=lambda row: digest(row["qid"]))[:QUESTIONS]
        retrieve = await searched(corpus, embedder)
        maker = Maker(folder.name, corpus, embedder, rarity)
        kinds: list[tuple[Kind, list[dict[str, Any]]]] = [
            ("answerable", answerable),
            ("look-alike", alike),
            ("off-topic", answerable),
            ("given", [row for row in answerable if row.get("evidence_sentence")]),
        ]
        for kind, rows in kinds:
            for row in rows:
                article = title[row["doc"]]
                if unseen and in_first_half(article):
                    continue
                question = await maker.encoded(row["question"])
                if kind == "given":
                    places = [maker.place[row["doc"]]]
                else:
                    without = article if kind == "off-topic" else None
                    places = retrieve(row["question"], question, without)
                cases += await maker.make(kind, row, article, places)
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

    def __init__(self, embedder: Embedder) -> None:
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


class Paragraph(NamedTuple):
    """What the model makes of one source."""

    found: list[Candidate]
    windows: list[Window]
    readings: list[Reading]


class Maker:
    """Makes cases of one set; paragraphs that come back for many questions are read once."""

    def __init__(
        self, data: str, corpus: list[dict[str, Any]], embedder: Embedder, rarity: Rarity
    ) -> None:
        self._data = data
        self._corpus = corpus
        self._embedder = embedder
        self._rarity = rarity
        self._remembered = Remembered(embedder)
        self._readings = Readings(embedder, rarity, remembered=2**30)
        self._questions: dict[str, Encoded] = {}
        self._paragraphs: dict[int, Paragraph] = {}
        self.place = {row["id"]: place for place, row in enumerate(corpus)}

    async def encoded(self, text: str) -> Encoded:
        """Return a question as the model sees it."""
        if text not in self._questions:
            self._questions[text] = await self._embedder.encoded_query(text)
        return self._questions[text]

    async def make(
        self, kind: Kind, row: dict[str, Any], article: str, places: list[int]
    ) -> list[Case]:
        """Return the case of one question and, for fitting, the same with fewer sources."""
        question = Question(row["question"])
        fewer = 1 + digest(row["qid"])[0] % SOURCES
        cases = []
        for sampled, chosen in ((False, places), (True, places[:fewer])):
            if sampled and len(chosen) == len(places):
                continue
            sources = [
                Source(n, self._corpus[place]["title"], "", self._corpus[place]["text"])
                for n, place in enumerate(chosen, 1)
            ]
            found, windows, readings = self._together([await self._read(n) for n in chosen])
            gold = next(
                (n for n, place in enumerate(chosen) if self._corpus[place]["id"] == row["doc"]), -1
            )
            answers = [" ".join(answer.split()) for answer in row.get("answers", ())]
            marked = " ".join((row.get("evidence_sentence") or "").split())
            answerable = kind in ("answerable", "given")
            in_gold = [answerable and candidate.source == gold for candidate in found]
            cases.append(
                Case(
                    data=self._data,
                    kind=kind,
                    article=article,
                    question=question,
                    sources=sources,
                    found=found,
                    right=np.array(
                        [
                            there and any(answer in candidate.text for answer in answers)
                            for there, candidate in zip(in_gold, found, strict=True)
                        ]
                    ),
                    evidence=np.array(
                        [
                            there and is_marked(candidate.text, marked)
                            for there, candidate in zip(in_gold, found, strict=True)
                        ]
                    ),
                    gold=gold,
                    lexical=features.lexical(question, sources, found),
                    asked=asked(await self.encoded(question.text), self._rarity),
                    windows=windows,
                    readings=readings,
                    marked=bool(marked),
                    sampled=sampled,
                )
            )
        return cases

    async def _read(self, place: int) -> Paragraph:
        """Return a paragraph as the model would read it, were it the only source."""
        if place not in self._paragraphs:
            row = self._corpus[place]
            source = Source(1, row["title"], "", row["text"])
            found = self._remembered.candidates([source])
            windows = cut([source], found, self._embedder.offsets)
            readings = await self._readings.windows([window.text for window in windows])
            self._paragraphs[place] = Paragraph(found, windows, readings)
        return self._paragraphs[place]

    def _together(
        self, paragraphs: Sequence[Paragraph]
    ) -> tuple[list[Candidate], list[Window], list[Reading]]:
        """Return paragraphs as the sources of one prompt."""
        found: list[Candidate] = []
        windows: list[Window] = []
        readings: list[Reading] = []
        for index, one in enumerate(paragraphs):
            before = len(found)
            found += [replace(candidate, source=index) for candidate in one.found]
            windows += [
                replace(window, source=index, rows=tuple(row + before for row in window.rows))
                for window in one.windows
            ]
            readings += one.readings
        return found, windows, readings


def is_marked(text: str, marked: str) -> bool:
    """Return whether a sentence is the one that people marked, cut a little differently maybe."""
    return bool(marked) and (marked in text or (text in marked and 2 * len(text) >= len(marked)))


Retrieve = Callable[[str, Encoded, str | None], list[int]]


async def searched(corpus: list[dict[str, Any]], embedder: Embedder) -> Retrieve:
    """Return a retriever over `corpus` that ranks as knowledge/search.py does."""
    texts = [f"{row['title']}\n{row['text']}" for row in corpus]
    encoded = await embedder.encoded(texts)
    late = Late.load()
    packed = [late.pack(one) for one in encoded]
    vectors = np.stack([one.vector for one in encoded])
    counter = CountVectorizer(analyzer=lambda text: [word.stem for word in content(words(text))])
    weights = bm25(counter.fit_transform(texts).astype(float).tocsr()).T.tocsr()
    articles = np.array([row["title"] for row in corpus])

    def best(scores: NDArray[Any], allowed: Marks) -> dict[int, float]:
        """Return the best of one retriever, by place; without a single word in common, none."""
        kept = np.where(allowed & (scores > 0), scores, -math.inf)
        top = np.argsort(-kept, kind="stable")[:CANDIDATES]
        return {int(place): float(kept[place]) for place in top if kept[place] > -math.inf}

    def retrieve(text: str, question: Encoded, without: str | None) -> list[int]:
        known = counter.transform([text])
        known.data[:] = 1
        allowed = np.asarray(articles != without)
        near = best(vectors @ question.vector, allowed)
        matches = best((known @ weights).toarray()[0], allowed)
        first = fuse(near, matches, weight=VECTOR_WEIGHT)[:RERANKED]
        closer = late.compare(question, [packed[place] for place, _ in first])
        scores = blend([score for _, score in first], closer)
        order = sorted(range(len(first)), key=lambda n: (-scores[n], first[n][0]))
        return [first[n][0] for n in order[:SOURCES]]

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
