"""A question that leans on the conversation becomes one that can be searched for by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from core.errors import ModelUnavailable
from core.turn import HistoryMessage
from embeddings.minilm import MiniLM
from evals.bench import edges
from nodes.context import Context, Limits, Services
from nodes.prompts import Prompts
from nodes.standalone import exchanges, standalone
from tgi.models import Models

LIGHTHOUSE = ("Who built the lighthouse of Norvik?", "It was built by Jonas Ekdal in 1847 [1].")
ROUTER = ("How far does the Orbit 20 router reach?", "The Orbit 20 reaches 40 metres [2].")
LOANS = (
    "Which loans does the library offer?",
    "There are three: Day loan, Month loan and Study loan [1].",
)


class Writer:
    """A model that writes one thing, or fails; remembers what it was asked."""

    def __init__(self, said: str | Exception) -> None:
        self.said = said
        self.asked: list[str] = []

    async def ainvoke(self, messages: Sequence[tuple[str, str]], **kwargs: Any) -> AIMessage:
        self.asked.append("\n".join(content for _, content in messages))
        if isinstance(self.said, Exception):
            raise self.said
        return AIMessage(self.said)


def surroundings(embedder: MiniLM, model: Writer | None = None) -> Context:
    nothing: Any = None
    used: dict[str, Any] = dict.fromkeys(Services.__dataclass_fields__, nothing)
    used["guard"] = edges.ScriptedGuard()
    chat: Any = model
    models = None if model is None else Models.of(chat)
    used |= {"embedder": embedder, "models": models, "prompts": Prompts.load()}
    return Context(
        tenant_id="acme", user_id="", thread_id="", run_id="", services=Services(**used),
        limits=Limits(rewrite_with_model=model is not None), stages=nothing, emit=nothing,
    )  # fmt: skip


def talk(*said: str) -> list[HistoryMessage]:
    return [
        HistoryMessage(role="assistant" if n % 2 else "user", content=text, seq=n)
        for n, text in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("history", "text", "query", "why"),
    [
        (LIGHTHOUSE, "When was he born?", "When was Jonas Ekdal born?", "reference"),
        (LIGHTHOUSE, "Is it open to visitors?", "Is lighthouse of Norvik open to visitors?",
         "reference"),
        (ROUTER, "What does it cost?", "What does Orbit 20 router cost?", "reference"),
        (ROUTER, "And the Orbit 50?", "How far does the Orbit 50 reach?", "ellipsis"),
        (ROUTER, "What about the Orbit 50?", "How far does the Orbit 50 reach?", "ellipsis"),
        (ROUTER, "No, I meant the Orbit 50.", "How far does the Orbit 50 reach?", "correction"),
        (LOANS, "How long is the second one?", "How long is Month loan?", "ordinal"),
        (LOANS, "Who may have the last one?", "Who may have Study loan?", "ordinal"),
        (LIGHTHOUSE, "Why?", "Why: Who built the lighthouse of Norvik?", "bare"),
        (LIGHTHOUSE, "Tell me more", "Who built the lighthouse of Norvik? Tell me more", "more"),
        (LIGHTHOUSE, "By the way, how far does the Orbit 20 reach?",
         "How far does the Orbit 20 reach?", "switch"),
        (LIGHTHOUSE, "How far does the Orbit 20 reach?", "How far does the Orbit 20 reach?",
         "whole"),
        (LIGHTHOUSE, "Is it possible to rent a boat in Norvik?",
         "Is it possible to rent a boat in Norvik?", "whole"),
        (LIGHTHOUSE, "Thanks!", "Thanks!", "whole"),
        ((), "What does it cost?", "What does it cost?", "whole"),
    ],
)  # fmt: skip
async def test_rules_fill_in_what_was_left_out(
    embedder: MiniLM, history: Sequence[str], text: str, query: str, why: str
) -> None:
    """Each kind of leaning has its rule, and what leans on nothing stays word for word."""
    found = await standalone(text, talk(*history), surroundings(embedder), leaning=False)
    assert (found.query, found.why) == (query, why)
    assert found.by == ("none" if why == "whole" else "rules")


async def test_a_follow_up_of_a_follow_up_is_understood(embedder: MiniLM) -> None:
    """What was meant before is worked out first."""
    history = talk(*ROUTER, "And the Orbit 50?", "The Orbit 50 reaches 70 metres [1].")
    found = await standalone("What does it cost?", history, surroundings(embedder), leaning=False)
    assert found.query == "What does Orbit 50 cost?"


async def test_a_good_model_is_believed(embedder: MiniLM) -> None:
    """Its question is taken when it is the same question, and it sees the conversation."""
    model = Writer('"Where was Jonas Ekdal born?"')
    found = await standalone(
        "Where was he born?", talk(*LIGHTHOUSE), surroundings(embedder, model), leaning=True
    )
    assert (found.query, found.by, found.why) == (
        "Where was Jonas Ekdal born?",
        "model",
        "reference",
    )
    assert found.call is not None
    assert (found.call["task"], found.call["error"]) == ("rewrite", "")
    assert "lighthouse of Norvik" in model.asked[0]
    assert "[1]" not in model.asked[0]


async def test_a_model_is_not_asked_about_a_question_that_stands_alone(embedder: MiniLM) -> None:
    """It costs time and could only make it worse."""
    model = Writer("Something else?")
    text = "How far does the Orbit 20 reach?"
    found = await standalone(text, talk(*LIGHTHOUSE), surroundings(embedder, model), leaning=False)
    assert (found.query, found.by, model.asked) == (text, "none", [])


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("", "shape"),
        ("Where was Jonas born?\nHe was born in Norvik.", "shape"),
        ("word " * 60, "shape"),
        ("Where was Astrid Lund born?", "names something new"),
        ("How tall is the lighthouse of Norvik?", "another question"),
        (ModelUnavailable(), "ModelUnavailable"),
        (TimeoutError(), "TimeoutError"),
    ],
)
async def test_a_model_that_fails_or_drifts_is_overruled(
    embedder: MiniLM, said: str | Exception, fault: str
) -> None:
    """The rules decide instead, and the turn log says why."""
    found = await standalone(
        "In which town was he born?",
        talk(*LIGHTHOUSE),
        surroundings(embedder, Writer(said)),
        leaning=True,
    )
    assert (found.query, found.by) == ("In which town was Jonas Ekdal born?", "rules")
    assert found.rejected == fault
    assert found.record() == {"by": "rules", "why": "reference", "rejected": fault}


async def test_a_model_may_not_lose_a_name(embedder: MiniLM) -> None:
    """What the user named is asked for."""
    found = await standalone(
        "Does he know Astrid Lund?",
        talk(*LIGHTHOUSE),
        surroundings(embedder, Writer("Does Jonas Ekdal know her?")),
        leaning=True,
    )
    assert found.query == "Does Jonas Ekdal know Astrid Lund?"
    assert found.rejected == "loses a name or number"


def test_exchanges_are_questions_with_their_answers() -> None:
    """The last four, without marks of citation; an answer without a question is left out."""
    said = [word for n in range(6) for word in (f"Question {n}?", f"Answer {n} [1][2].")]
    found = exchanges([*talk(*said), HistoryMessage(role="user", content="Last?", seq=None)])
    assert [one.question for one in found] == [
        "Question 3?", "Question 4?", "Question 5?", "Last?",
    ]  # fmt: skip
    assert [one.answer for one in found] == ["Answer 3.", "Answer 4.", "Answer 5.", ""]
    assert exchanges([HistoryMessage(role="assistant", content="Hello", seq=1)]) == []
