"""Which questions may share an answer."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import CacheSettings
from embeddings.minilm import MiniLM
from evals.cases import read
from nodes.alike import Alike, tokens, typed
from tests.project import ROOT

PAIRS: dict[str, list[str]] = yaml.safe_load(
    Path(__file__).with_name("questions.yaml").read_text(encoding="utf-8")
)
SETS = ("squad_v11", "qed_nq")


@pytest.fixture(scope="module")
def alike() -> Alike:
    """The table that ships."""
    return Alike.load()


@pytest.mark.parametrize("pair", PAIRS["different"])
def test_another_question_is_told_apart(alike: Alike, pair: str) -> None:
    """A number, a name, a "not", a direction, a tense or any other word makes another question."""
    one, other = pair.split(" | ")
    assert alike.difference(one, other) is not None
    assert alike.difference(other, one) is not None
    assert alike.difference(one, one) is None


def test_there_are_enough_pairs() -> None:
    """What is refused is refused on more than a hundred pairs, and each stands once."""
    assert len(set(PAIRS["different"])) == len(PAIRS["different"]) > 100
    assert len(set(PAIRS["same"])) == len(PAIRS["same"]) > 50


async def test_most_paraphrases_are_recognised(alike: Alike, embedder: MiniLM) -> None:
    """Two of three pairs that ask the same may share an answer, their vectors near enough."""
    threshold = CacheSettings.model_fields["similarity"].default
    shared = 0
    for pair in PAIRS["same"]:
        one, other = pair.split(" | ")
        near = float(await embedder.query(one) @ await embedder.query(other)) >= threshold
        shared += near and alike.difference(one, other) is None
    assert shared >= len(PAIRS["same"]) * 2 / 3


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_real_questions_of_different_paragraphs_share_nothing(alike: Alike, name: str) -> None:
    """Of all pairs of real questions, those that may share an answer ask the same.

    Looked at one by one; what they have in common is spelled out here.
    """
    folder = ROOT.parent / "shared/data" / name
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    groups: dict[Any, list[str]] = defaultdict(list)
    for row in read(folder, "queries"):
        groups[alike._compared(row["question"])].append(row["question"])
    shared = {
        tuple(sorted((typed(one), typed(other))))
        for group in groups.values()
        for place, one in enumerate(group)
        for other in group[:place]
        if typed(one) != typed(other) and alike.difference(one, other) is None
    }
    for one, other in shared:
        differing = {token.word for token in tokens(one)} ^ {token.word for token in tokens(other)}
        assert differing <= SAME_IN_REAL_QUESTIONS, (one, other)
    assert shared


SAME_IN_REAL_QUESTIONS = {
    *("big", "large", "in", "the", "made", "up", "composed", "take", "place", "happen"),
    *("movies", "films", "usa", "united", "states", "u.s."),
}


@pytest.mark.parametrize(
    "question",
    [
        "What is my balance?",
        "How do I restore a backup?",
        "Where are our offices?",
        "Who can help us?",
        "What's open today?",
        "Wo ist meine Rechnung?",
        "Où est ma facture ?",
        "¿Dónde está mi pedido?",
        "What is the plan of ada@example.com?",
        "Where is order 4711 0815 99?",
        "I want to know what I owe",
    ],
)
def test_personal_questions_are_seen(alike: Alike, question: str) -> None:
    """Who asks about themselves, or about today, gets an answer of their own."""
    assert alike.personal(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the refund policy?",
        "Who leads the US army?",
        "Can you tell me who wrote Hamlet?",
        "I would like to know how long the Rhine is",
        "What happened in 2017?",
        "Was kostet die Fahrt nach Bonn?",
    ],
)
def test_what_anybody_could_ask_is_shared(alike: Alike, question: str) -> None:
    """A polite opening is no person, a year no account, and the US is not us."""
    assert not alike.personal(question)


def test_typing_makes_no_difference() -> None:
    """Case, blanks, the end and the kind of apostrophe are the typist's."""
    assert typed(" What’s  the capital of France ?! ") == typed("what's the capital of france")
    assert typed("What is 1.5?") != typed("What is 15?")


@pytest.mark.parametrize("question", ["", "?", "💡", "的 是", "+", "x" * 5000, "'s n't", "a a a"])
def test_any_text_can_be_compared(alike: Alike, question: str) -> None:
    """Nothing that people type breaks the comparison."""
    assert alike.difference(question, question) is None
    assert isinstance(alike.personal(question), bool)
