"""A corpus of any size: vectors in clusters, sentences of real texts, a label on one per cent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evals.cases import read

DIMENSIONS = 384
PER_CLUSTER = 200  # chunks that are about the same thing
SPREAD = 0.7  # of a chunk around the centre of its cluster, which has length 1
PER_DOCUMENT = 50  # chunks
LABEL = "rare"
LABEL_EVERY = 100  # documents
WORDS_PER_CHUNK = 110
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_VOCABULARY = 60_000  # of made-up texts


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is stored, and what is asked."""

    vectors: NDArray[np.float16]  # (chunks, 384), unit length before rounding
    vocabulary: str  # where the words are from: "real" or "made up"
    sentences: list[str]
    questions: list[str]
    asked: NDArray[np.float32]  # (questions, 384), unit length, near some chunk each
    seed: int

    def texts(self, first: int, last: int) -> list[str]:
        """Return the texts of chunks; each is the same whenever it is asked for."""
        return [self._text(number) for number in range(first, last)]

    def _text(self, number: int) -> str:
        chance = np.random.default_rng((self.seed, number))
        parts: list[str] = []
        words = 0
        while words < WORDS_PER_CHUNK:
            parts.append(self.sentences[int(chance.integers(len(self.sentences)))])
            words += parts[-1].count(" ") + 1
        return " ".join(parts)

    def labelled(self) -> NDArray[np.bool_]:
        """Return which chunks carry the label."""
        document = np.arange(len(self.vectors)) // PER_DOCUMENT
        return np.equal(document % LABEL_EVERY, 0)


def make(chunks: int, questions: int, data: Path | None, seed: int = 0) -> Corpus:
    """Return a corpus.

    data: a folder of sets with corpora and questions; None makes words up, by Zipf's law.
    """
    chance = np.random.default_rng(seed)
    centres = _unit(chance.standard_normal((max(1, chunks // PER_CLUSTER), DIMENSIONS)))
    vectors = np.empty((chunks, DIMENSIONS), np.float16)
    for first in range(0, chunks, 50_000):
        some = slice(first, min(first + 50_000, chunks))
        home = centres[chance.integers(len(centres), size=some.stop - some.start)]
        vectors[some] = _unit(home + _noise(chance, len(home)) * SPREAD)
    near = vectors[chance.integers(chunks, size=questions)].astype(np.float32)
    asked = _unit(near + _noise(chance, questions) * SPREAD)
    sentences, texts = ([], []) if data is None else _real(data)
    vocabulary = "real" if sentences else "made up"
    if not sentences:
        sentences = list(_made_up(chance, 20_000, 20))
        texts = list(_made_up(chance, questions, 8))
    picked = [texts[i] for i in chance.permutation(len(texts))[:questions]]
    while len(picked) < questions:  # never the same twice: an embedding would be remembered
        picked.append(f"{picked[len(picked) % len(texts)]} {len(picked)}")
    return Corpus(vectors, vocabulary, sentences, picked, asked, seed)


def _real(data: Path) -> tuple[list[str], list[str]]:
    """Return the sentences and the questions of all sets that have a corpus."""
    sentences: set[str] = set()
    questions: list[str] = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        for row in read(folder, "corpus"):
            sentences.update(part for part in _SENTENCE.split(row["text"]) if part)
        questions += [row["question"] for row in read(folder, "queries") if "question" in row]
    return sorted(sentences), sorted(set(questions)) if sentences else []


def _made_up(chance: np.random.Generator, many: int, words: int) -> Iterator[str]:
    ranks = np.arange(1, _VOCABULARY + 1)
    weights = 1 / ranks
    drawn = chance.choice(ranks, size=(many, words), p=weights / weights.sum())
    for row in drawn:
        yield " ".join(f"word{rank}" for rank in row)


def _noise(chance: np.random.Generator, many: int) -> NDArray[np.float32]:
    return _unit(chance.standard_normal((many, DIMENSIONS)))


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)
