"""What a check says holds while the answer streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from core.errors import CheckFailed
from core.events import Event
from core.telemetry import NullTracer
from db import audit, turns
from db.pool import Database
from embeddings.base import Embedder
from evals.bench import edges
from graphs.runner import Runner
from nodes.context import Limits
from safety import credentials
from safety.checks import Subject
from safety.guard import Guard
from safety.policy import Policies, TenantPolicy, merged
from safety.verdict import Hit
from tests.graphs.turns import QUICK, TENANT, begin, events, services

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


class Broken:
    """A check that fails."""

    name = "broken"
    deadline_seconds = 5.0
    opens = None

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        raise RuntimeError("broken")


def strict(**checks: Any) -> Policies:
    """Return the shipped policy with other checks."""
    general = Policies.load().general.model_dump(mode="json")
    return Policies(TenantPolicy.model_validate(merged(general, {"checks": checks})), {})


@pytest.fixture(scope="module")
def guard(embedder: Embedder) -> Guard:
    """The real checks."""
    return Guard.build(embedder)


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


async def test_a_blocked_answer_ends_with_a_refusal(database: Database, guard: Guard) -> None:
    """Nothing of it is shown or kept, nor what comes behind; the turn ends well."""
    listed = {"lists": [{"words": ["worse"], "severity": "critical"}]}
    strict_guard = guard.under(strict(blocklist=listed))
    log = await turn(database, strict_guard, "Fine [1]. Wor", "se is not [2]. Nor this [1].")
    assert "orse" not in str([event.data for event in log])
    assert "Nor this" not in str([event.data for event in log])
    finished = next(event for event in log if event.type == "message.finished")
    assert finished.data["finish_reason"] == "content_filter"
    assert "I can't help with that." in finished.data["content"]
    async with database.transaction(TENANT) as conn:
        kept = await turns.get(conn, UUID(log[0].data["run_id"]))
        entries = await audit.entries(conn, subject=log[0].data["run_id"])
    assert kept.raw_answer == ""
    assert [(one["check"], one["action"]) for one in kept.findings] == [("blocklist", "block")]
    [entry] = entries
    assert entry.details["decisions"] == kept.findings
    assert entry.details["policy"] == strict_guard.policies.general.digest


async def test_a_check_that_cannot_run_fails_the_turn(database: Database, embedder: Any) -> None:
    """Neither a message nor an answer passes unchecked."""
    for direction in ("input", "document", "output"):
        broken = Guard.build(embedder, only={direction: [Broken()]})
        log = await turn(database, broken, "Fine [1].")
        assert log[-1].data["error"]["code"] == "check_failed"
        assert "message.finished" not in [event.type for event in log]


def test_a_detector_that_fails_in_the_stream_refuses(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of the answer has left."""

    def broken(text: str) -> list[Any]:
        raise RuntimeError(text)

    monkeypatch.setattr(credentials, "find", broken)
    leaving = guard.leaving()
    with pytest.raises(CheckFailed) as caught:
        leaving.feed("confidential matters ")
    assert "confidential" not in str(caught.value)


@pytest.mark.parametrize(("severity", "action"), [("low", "warn"), ("critical", "block")])
async def test_a_finding_is_told_and_counted_once(
    database: Database, guard: Guard, severity: str, action: str
) -> None:
    """Though the whole answer is checked again after its stream, and a blocked one is cut off."""
    listed = {"lists": [{"words": ["teapot"], "severity": severity}]}
    used = services(database, SayingModel().say("A teapot [1]. A teapot ", "again [2]."))
    used = replace(used, guard=guard.under(strict(blocklist=listed)))
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        run = await begin(runner)
        await events(runner, run)
    async with database.transaction(TENANT) as conn:
        log = await turns.get(conn, UUID(run.run_id))
    assert [one["action"] for one in log.findings] == [action]
    labels = {"direction": "output", "check": "blocklist", "action": action}
    registry = used.metrics.registry
    assert registry.get_sample_value("parley_findings_total", labels) == 1
