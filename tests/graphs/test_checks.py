"""What a check says holds while the answer streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from core.errors import CheckFailed
from core.events import Event
from core.telemetry import NullTracer
from db.pool import Database
from evals.bench import edges
from graphs.runner import Runner
from nodes.context import Limits
from safety.guard import Guard
from safety.verdict import About, Direction, Verdict
from tests.graphs.turns import QUICK, begin, events, services

KEY = "AKIA" + "Q3EGR7XN2LD5WVTB"


class SayingModel(edges.ScriptedModel):
    """Streams what it was told to say, piece by piece; "{rules}" is its own system prompt."""

    _pieces: Sequence[str] = PrivateAttr(default=())

    def say(self, *pieces: str) -> SayingModel:
        """Say these pieces from now on."""
        self._pieces = pieces
        return self

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        rules = " ".join(str(messages[0].content).split())
        for piece in self._pieces:
            text = piece.replace("{rules}", rules)
            yield ChatGenerationChunk(message=AIMessageChunk(content=text))
        end = AIMessageChunk(content="", response_metadata={"finish_reason": "stop"})
        yield ChatGenerationChunk(message=end)


class FixedGuard(edges.ScriptedGuard):
    """Says the same about every answer."""

    def __init__(self, verdict: Verdict | Exception) -> None:
        self.verdict = verdict

    async def check(self, direction: Direction, text: str, about: About) -> Verdict:
        """Return or raise what it was made with."""
        if direction != "output":
            return Verdict(text)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


@pytest.fixture(scope="module")
def guard() -> Guard:
    """The real checks."""
    return Guard.build()


async def turn(database: Database, guard: Any, *pieces: str) -> list[Event]:
    """Run one turn whose model says these pieces; return its events."""
    used = replace(services(database, SayingModel().say(*pieces)), guard=guard)
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        return await events(runner, await begin(runner))


def said(log: list[Event]) -> str:
    return "".join(event.data["text"] for event in log if event.type == "token")


async def test_a_credential_cut_into_pieces_never_leaves(database: Database, guard: Guard) -> None:
    """However the stream is cut, no event shows it, and neither does the stored message."""
    log = await turn(database, guard, "The key is AK", KEY[2:9], KEY[9:], " [1]. Use it.")
    assert "AKIA" not in str([event.data for event in log])
    assert said(log).endswith("[1]. Use it.")


async def test_the_system_prompt_never_leaves(database: Database, guard: Guard) -> None:
    """An answer that recites its instructions is shown without them."""
    log = await turn(database, guard, "My rules [1]: {rules} ", "That is all [1].")
    assert "Put the number of the source that supports a sentence" not in said(log)
    assert said(log).endswith("That is all [1].")


async def test_a_blocked_answer_ends_with_a_refusal(database: Database) -> None:
    """What a check blocks is not shown; the turn ends well, with the template."""
    log = await turn(database, FixedGuard(Verdict("", (), "blocked")), "Bad [1]. Worse [2].")
    assert "Bad" not in str([event.data for event in log])
    finished = next(event for event in log if event.type == "message.finished")
    assert finished.data["finish_reason"] == "content_filter"
    assert finished.data["content"].startswith("I can't help with that.")


async def test_a_check_that_cannot_run_fails_the_turn(database: Database) -> None:
    """Nothing passes unchecked."""
    log = await turn(database, FixedGuard(CheckFailed()), "Fine [1].")
    assert log[-1].data["error"]["code"] == "check_failed"
    assert said(log) == ""
