"""A turn whose models fail ends with an answer of some level, or with a typed error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from core.errors import (
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    RetryRefused,
    StreamCut,
)
from core.events import Event
from core.telemetry import NullTracer
from db import messages, runs, turns
from db.pool import Database
from evals.asking import AskingModel
from evals.bench import edges
from graphs.admission import StartedRun
from graphs.runner import Runner
from nodes.context import Limits
from tests.db.waiting import settled
from tests.graphs.acting import acting
from tests.graphs.turns import LETTER, QUICK, TENANT, GatedModel, begin, events, services
from tgi.catalog import Catalog
from tgi.models import Models, Served
from tools.tool import Caller

WELL = "Water is wet [1]."
KNOWN = "It is word0 word1 [1]."
LOCAL_CALLER = Caller(TENANT, "local")


class Saying(edges.ScriptedModel):
    """Says some pieces, then fails if it is told to; counts how often it is asked."""

    _pieces: tuple[str, ...] = PrivateAttr(default=())
    _error: ModelError | None = PrivateAttr(default=None)
    _asked: int = PrivateAttr(default=0)

    @classmethod
    def of(cls, *pieces: str, error: ModelError | None = None) -> Saying:
        """Return a model that says this."""
        made = cls()
        made._pieces, made._error = pieces, error
        return made

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return self._asked

    def mend(self) -> None:
        """Do not fail any more."""
        self._error = None

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        self._asked += 1
        for piece in self._pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        if self._error is not None:
            raise self._error
        end = AIMessageChunk(
            content="", usage_metadata=edges.USAGE, response_metadata={"finish_reason": "stop"}
        )
        yield ChatGenerationChunk(message=end)


def models(*chats: Saying, last: Saying | None = None, **rules: Any) -> Models:
    """Return these models, each better and dearer than the one before it."""
    specs = {
        f"model-{n}": {
            "endpoints": ["http://127.0.0.1:1"],
            "quality": (n + 1) / 10,
            "price": {"input": float(n), "output": float(n)},
        }
        for n in range(len(chats))
    }
    catalog = Catalog.model_validate({"models": specs} | rules)
    served = {
        name: Served(catalog.models[name], chat) for name, chat in zip(specs, chats, strict=True)
    }
    return Models(catalog, served, last=last)


@asynccontextmanager
async def running(
    database: Database, made: Models, limits: Limits | None = None
) -> AsyncIterator[Runner]:
    own = replace(services(database), models=made)
    async with Runner(own, limits or Limits(), QUICK, NullTracer()) as runner:
        yield runner


async def turn(
    database: Database, made: Models, text: str = "Why?", limits: Limits | None = None
) -> tuple[dict[str, Any], list[Event]]:
    """Return the data of the finished message, and all events."""
    async with running(database, made, limits) as runner:
        log = await events(runner, await begin(runner, text))
    return next(event.data for event in log if event.type == "message.finished"), log


async def logged(database: Database, run: StartedRun) -> turns.TurnLog:
    async with database.transaction(TENANT) as conn:
        return await turns.get(conn, UUID(run.run_id))


def said(log: list[Event]) -> str:
    return "".join(event.data["text"] for event in log if event.type == "token")


FAILURES = [ModelUnavailable(), ModelOverloaded(), ModelTimeout(), ModelRejected(), StreamCut()]


async def test_a_model_that_answers_is_full(database: Database) -> None:
    """Nobody else is asked."""
    first, second = Saying.of(WELL), Saying.of("Never [1].")
    message, _ = await turn(database, models(first, second))
    assert (message["content"], message["level"]) == (WELL, "full")
    assert second.asked == 0


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: error.code)
async def test_another_model_answers_instead(database: Database, error: ModelError) -> None:
    """Whatever is wrong with the first one; the user reads one answer."""
    made = models(Saying.of(error=error), Saying.of(WELL))
    message, log = await turn(database, made)
    assert (message["content"], message["level"]) == (WELL, "fallback")
    assert said(log).strip() == WELL


async def test_half_a_sentence_that_nobody_has_seen_is_no_obstacle(database: Database) -> None:
    """It waits for its end and for a citation, so it can be dropped."""
    broken = Saying.of("Water is", error=StreamCut())
    made = models(broken, Saying.of(WELL))
    message, log = await turn(database, made)
    assert (message["content"], message["level"]) == (WELL, "fallback")
    assert said(log).strip() == WELL
    assert broken.asked == 2  # another of its servers might have been well


async def test_what_was_seen_cannot_be_said_otherwise(database: Database) -> None:
    """The turn fails with its code, the part is kept apart from messages, and retry works."""
    broken = Saying.of("Water is wet [1]. And ", error=StreamCut())
    async with running(database, models(broken, Saying.of(WELL))) as runner:
        run = await begin(runner)
        log = await events(runner, run)
        assert log[-1].type == "run.failed"
        assert log[-1].data["error"]["code"] == "stream_cut"
        kept = await logged(database, run)
        assert kept.raw_answer == "Water is wet [1]. And "
        async with database.transaction(TENANT) as conn:
            (question,) = await messages.list_after(conn, UUID(run.thread_id))
        broken.mend()
        again = await runner.retry(LOCAL_CALLER, thread_id=run.thread_id, run_id=run.run_id)
        log = await events(runner, again)
        assert log[-1].type == "run.finished"
    async with database.transaction(TENANT) as conn:
        told = await messages.list_after(conn, UUID(run.thread_id))
        thread_runs = await runs.list_of_thread(conn, UUID(run.thread_id), limit=9)
    assert [(one.role, one.seq) for one in told] == [("user", 1), ("assistant", 2)]
    assert told[0].content == question.content
    assert [one.status for one in thread_runs] == ["succeeded", "failed"]


async def test_only_the_last_failed_turn_is_tried_again(database: Database) -> None:
    """Not one that succeeded, not one that another followed, and not twice."""
    broken = Saying.of("Water is wet [1]. And ", error=StreamCut())
    async with running(database, models(broken)) as runner:
        first = await begin(runner)
        await events(runner, first)
        second = await begin(runner, thread_id=first.thread_id)
        await events(runner, second)
        broken.mend()

        async def retry(run: StartedRun) -> StartedRun:
            return await runner.retry(LOCAL_CALLER, thread_id=run.thread_id, run_id=run.run_id)

        with pytest.raises(RetryRefused):
            await retry(first)
        third = await retry(second)
        await events(runner, third)
        for run in (first, second, third):
            with pytest.raises(RetryRefused):
                await retry(run)


async def test_the_sources_answer_when_no_model_does(database: Database) -> None:
    """The model of this process comes last, and says which level that is."""
    down = Saying.of(error=ModelUnavailable())
    message, log = await turn(database, models(down, down, last=Saying.of(WELL)))
    assert (message["content"], message["level"]) == (WELL, "degraded")
    assert message["citations"]
    assert log[-1].type == "run.finished"


async def test_the_turn_log_tells_who_was_asked(database: Database) -> None:
    """Each call with its reason and its error, in order."""
    made = models(Saying.of(error=ModelTimeout()), Saying.of(WELL))
    async with running(database, made) as runner:
        run = await begin(runner)
        await events(runner, run)
    log = await logged(database, run)
    assert log.level == "fallback"
    calls = log.model_calls
    assert [(call["model"], call["error"]) for call in calls] == [
        ("model-0", "model_timeout"),
        ("model-1", ""),
    ]
    assert calls[1]["tried"] == [{"model": "model-0", "error": "model_timeout"}]
    assert calls[1]["cost_usd"] == pytest.approx(1264 / 1e6)
    assert all(call["why"] for call in calls)


async def test_a_call_that_broke_off_has_cost_something(database: Database) -> None:
    """No server has counted it, so it is estimated; also when the user stopped it."""
    broken = Saying.of("Water is", error=StreamCut())
    async with running(database, models(broken, Saying.of(WELL))) as runner:
        run = await begin(runner)
        await events(runner, run)
    first, again, last = (await logged(database, run)).model_calls
    for call in (first, again):
        assert call["error"] == "stream_cut"
        assert call["usage"]["prompt_tokens"] > 100
        assert call["usage"]["completion_tokens"] == 2
    assert "begun anew" in again["why"]
    assert last["error"] == ""
    gated = GatedModel()
    async with running(database, Models.of(gated)) as runner:
        run = await begin(runner)
        await gated.asked.wait()
        await runner.cancel(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
        assert (await events(runner, run))[-1].type == "run.cancelled"
    [call] = (await logged(database, run)).model_calls
    assert call["error"] == "cancelled"
    assert call["usage"]["completion_tokens"] > 2


async def test_what_was_answered_before_is_given_again(knowing: Database) -> None:
    """Also when other circumstances made it, as long as its documents are the same."""
    await turn(knowing, models(Saying.of(KNOWN)), "Why is water wet?")
    await settled(knowing)
    changed, down = Limits(passages=4), models(Saying.of(error=ModelUnavailable()))
    message, log = await turn(knowing, down, "why is water wet", changed)
    assert (message["content"], message["level"]) == (KNOWN, "cached")
    assert message["citations"]
    assert said(log).strip() == KNOWN
    assert log[-1].type == "run.finished"
    async with knowing.transaction(TENANT) as conn:
        await conn.execute("update documents set version = version + 1")
    message, _ = await turn(knowing, down, "why is water wet", changed)
    assert message["level"] == "canned"


async def test_a_sentence_of_ours_is_the_last_answer(database: Database) -> None:
    """No model, no sources that answer, nothing known: still no error."""
    down = Saying.of(error=ModelUnavailable())
    for made in (models(down), models(down, last=Saying.of("I don't know."))):
        message, log = await turn(database, made)
        assert message["level"] == "canned"
        assert "does not answer" in message["content"]
        assert not message["abstained"]
        assert log[-1].type == "run.finished"


async def test_a_task_is_not_done_by_quoting(database: Database) -> None:
    """Without a model nothing is done, and the answer says so; the sources are not asked."""
    local = Saying.of(WELL)
    made = replace(
        acting(database, AskingModel(), [LETTER]),
        models=models(Saying.of(error=ModelUnavailable()), last=local),
    )
    async with Runner(made, Limits(), QUICK, NullTracer()) as runner:
        log = await events(runner, await begin(runner, "Send a letter to Ada."))
    message = next(event.data for event in log if event.type == "message.finished")
    assert "Nothing was done" in message["content"]
    assert local.asked == 0


async def test_a_better_model_is_asked_when_one_does_not_know(database: Database) -> None:
    """Once, and only if the rule wants it; an answer that does not come leaves the first one."""
    ignorant = Saying.of("I don't know.")
    better = Saying.of(WELL)
    message, _ = await turn(database, models(ignorant, better))
    assert (message["content"], message["level"]) == (WELL, "full")
    alone = models(ignorant, better, tasks={"answer": {"escalate": False}})
    message, _ = await turn(database, alone)
    assert message["abstained"]
    assert better.asked == 1
    message, _ = await turn(database, models(ignorant, Saying.of(error=ModelUnavailable())))
    assert message["abstained"]
    third = Saying.of(WELL)
    message, _ = await turn(database, models(ignorant, ignorant, third))
    assert third.asked == 0
