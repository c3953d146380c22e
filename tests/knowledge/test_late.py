from __future__ import annotations

import numpy as np
import pytest

from embeddings.base import Encoded
from embeddings.minilm import MiniLM
from knowledge.late import Late

QUESTION = "Who painted the ceiling of the Sistine Chapel?"
ANSWER = "Michelangelo painted the ceiling of the chapel between 1508 and 1512."
OTHER = "The recipe needs two eggs, flour and a pinch of salt."


@pytest.fixture(scope="module")
def late() -> Late:
    """The measure with the table of the repository."""
    return Late.load()


async def test_prefers_what_answers(embedder: MiniLM, late: Late) -> None:
    """A passage with the words asked for scores above one about something else."""
    question = await embedder.encoded_query(QUESTION)
    packed = [late.pack(one) for one in await embedder.encoded([OTHER, ANSWER])]
    other, answer = await late.scores(question, packed)
    assert other is not None
    assert answer is not None
    assert -1 <= other < answer <= 1


async def test_small(embedder: MiniLM, late: Late) -> None:
    """A token costs 48 bytes, and those that say nothing cost none."""
    words, points = await embedder.encoded(["one two three", "one, two; three!"])
    assert len(late.pack(words)) == 1 + 3 * 48
    assert len(late.pack(points)) == 1 + 3 * 48


async def test_near_the_exact_measure(embedder: MiniLM, late: Late) -> None:
    """Signs put passages into the order in which exact vectors do, but for a small error."""
    question = await embedder.encoded_query(QUESTION)
    passages = await embedder.encoded([OTHER, ANSWER, "Rome is a city.", "Ceilings are painted."])
    stored = [late.pack(one) for one in passages]
    found = [score or 0.0 for score in await late.scores(question, stored)]
    exact = [most_similar(question, one) for one in passages]
    assert np.corrcoef(found, exact)[0, 1] > 0.95


def most_similar(question: Encoded, passage: Encoded) -> float:
    """Return MaxSim as it is defined, every token alike."""
    rows = [one.tokens[1:-1].astype(np.float32) for one in (question, passage)]
    asked, there = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in rows)
    return float((asked @ there.T).max(axis=1).mean())


async def test_nothing_stored(embedder: MiniLM, late: Late) -> None:
    """What is stored in another form, cut off or not at all has no score; the others do."""
    question = await embedder.encoded_query(QUESTION)
    good = late.pack((await embedder.encoded([ANSWER]))[0])
    odd: list[bytes | None] = [None, b"", b"\x01", good[:-1], b"\x09" + good[1:], good]
    scores = await late.scores(question, odd)
    assert scores[:5] == [None] * 5
    assert scores[5] is not None
    assert await late.scores(question, []) == []
    assert await late.scores(question, [None]) == [None]


@pytest.mark.parametrize("text", ["?!", "", "。。"])
async def test_nothing_said(embedder: MiniLM, late: Late, text: str) -> None:
    """Texts of punctuation alone are compared too, by all their tokens."""
    question = await embedder.encoded_query(text)
    (passage,) = await embedder.encoded([text])
    (score,) = await late.scores(question, [late.pack(passage)])
    assert score is not None
    assert score > 0.5
