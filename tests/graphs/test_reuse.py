"""Answers that are given again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pgvector import HalfVector
from prometheus_client import CollectorRegistry

from core.errors import CacheFailed
from core.events import Event
from core.telemetry import NullTracer
from core.turn import TurnState
from db import answers, turns
from db.pool import Database
from embeddings.minilm import MiniLM
from graphs.admission import StartedRun
from graphs.runner import Runner
from nodes.context import Limits, Services
from nodes.reuse import stretches, worth_keeping
from safety.guard import Guard
from tests.graphs.test_checks import SayingModel, strict
from tests.graphs.turns import QUICK, TENANT, events, services

QUESTION = "Why is the sky blue?"
SAID = ("It scatters", " light [1]. And it", " is high [2]. Look up!")


@asynccontextmanager
async def running(used: Services, limits: Limits | None = None) -> AsyncIterator[Runner]:
    async with Runner(used, limits or Limits(), QUICK, NullTracer()) as runner:
        yield runner


def saying(database: Database, *pieces: str) -> Services:
    return services(database, SayingModel().say(*(pieces or SAID)))


async def ask(
    runner: Runner, text: str = QUESTION, *, user_id: str = "local", **given: Any
) -> tuple[StartedRun, list[Event]]:
    """Run a turn in a thread of its own, or in the one given."""
    thread_id = given.pop("thread_id", None)
    run = await runner.start(
        tenant_id=TENANT, user_id=user_id, thread_id=thread_id, text=text, **given
    )
    return run, await events(runner, run)


def finished(log: list[Event]) -> Mapping[str, Any]:
    return next(event.data for event in log if event.type == "message.finished")


def lookups(used: Services) -> dict[str, float]:
    registry: CollectorRegistry = used.metrics.registry
    results = ("exact", "semantic", "miss")
    name = "parley_cache_lookups_total"
    return {r: registry.get_sample_value(name, {"result": r}) or 0.0 for r in results}


async def test_the_same_question_gets_the_same_answer(knowing: Database) -> None:
    """It streams as the first time: sources, sentences, citations, the end; no model is asked."""
    used = saying(knowing)
    async with running(used) as runner:
        _, first = await ask(runner)
        _, second = await ask(runner, "why is the sky blue")
    assert finished(first)["cached"] is None
    assert finished(second)["cached"] == "exact"
    for key in ("content", "citations", "abstained", "finish_reason"):
        assert finished(second)[key] == finished(first)[key]
    told = [event.type for event in second if not event.type.startswith("node.")]
    assert told == [
        *("run.started", "intent", "sources", "token", "citation", "token", "citation"),
        *("token", "message.finished", "run.finished"),
    ]
    said = "".join(event.data["text"] for event in second if event.type == "token")
    assert said == finished(first)["content"]
    assert [e.data for e in first if e.type == "sources"] == [
        e.data for e in second if e.type == "sources"
    ]
    assert lookups(used) == {"exact": 1, "semantic": 0, "miss": 1}


async def test_the_turn_log_says_where_an_answer_came_from(knowing: Database) -> None:
    """Which run wrote it, how near the questions are, and what was refused on the way."""
    used = saying(knowing)
    async with running(used) as runner:
        first, _ = await ask(runner, "Which movie is about the sky?")
        second, log = await ask(runner, "Which film is about the sky?")
        third, _ = await ask(runner, "Which film is about the sea?")
    assert finished(log)["cached"] == "semantic"
    async with knowing.transaction(TENANT) as conn:
        found = (await turns.get(conn, UUID(second.run_id))).retrieval["cache"]
        missed = (await turns.get(conn, UUID(third.run_id))).retrieval["cache"]
        stages = (await turns.get(conn, UUID(second.run_id))).stages
    assert (found["result"], found["run_id"]) == ("semantic", first.run_id)
    assert found["cosine"] == pytest.approx(1)
    assert missed["result"] == "miss"
    assert [entry["differs"] for entry in missed["refused"]] == ["words"]
    assert "generate" not in stages


@pytest.mark.parametrize(
    ("why", "given"),
    [
        ("instructions", {"instructions": "Be brief."}),
        ("history", {"given_history": [{"role": "user", "content": "Hi", "seq": None}]}),
        ("sampling", {"parameters": {"temperature": 0.7}}),
        ("personal", {"text": "What is my balance?"}),
        ("long", {"text": "Why " * 200}),
    ],
)
async def test_who_asks_in_their_own_way_gets_their_own_answer(
    knowing: Database, why: str, given: dict[str, Any]
) -> None:
    """Such a turn neither takes an answer from the cache nor leaves one there."""
    used = saying(knowing)
    async with running(used) as runner:
        await ask(runner, given.get("text", QUESTION))
        for _ in range(2):
            run, log = await ask(runner, **given)
            assert finished(log)["cached"] is None
    async with knowing.transaction(TENANT) as conn:
        cache = (await turns.get(conn, UUID(run.run_id))).retrieval["cache"]
    assert cache == {"result": "skipped", "why": why}


async def test_a_conversation_is_not_cached(knowing: Database) -> None:
    """A second question of a thread has a history, whatever it asks."""
    async with running(saying(knowing)) as runner:
        run, _ = await ask(runner)
        _, log = await ask(runner, thread_id=run.thread_id)
    assert finished(log)["cached"] is None


async def test_another_setting_is_another_answer(knowing: Database) -> None:
    """A limit of the turn, or a parameter of the caller, is part of what an answer is kept by."""
    async with running(saying(knowing)) as runner:
        await ask(runner)
        _, shorter = await ask(runner, parameters={"max_tokens": 9})
    async with running(saying(knowing), Limits(passages=3)) as runner:
        _, fewer = await ask(runner)
    assert finished(shorter)["cached"] is finished(fewer)["cached"] is None


async def test_nothing_is_kept_when_it_is_off(knowing: Database) -> None:
    """Off is off, for finding and for keeping."""
    used = saying(knowing)
    async with running(used, Limits(cache_entries=0)) as runner:
        for _ in range(2):
            _, log = await ask(runner)
    assert finished(log)["cached"] is None
    assert sum(lookups(used).values()) == 0


@pytest.mark.parametrize(
    "change",
    [
        "delete from documents where uri like '%%5.md'",
        "update documents set version = nextval('document_versions') where uri like '%%5.md'",
        "update documents set groups = '{board}' where uri like '%%5.md'",
    ],
)
async def test_what_changed_is_said_anew(knowing: Database, change: str) -> None:
    """A source that nobody cited counts, too: the model has read it."""
    async with running(saying(knowing)) as runner:
        await ask(runner)
        async with knowing.transaction(TENANT) as conn:
            await conn.execute(change)
        _, log = await ask(runner)
    assert finished(log)["cached"] is None


async def test_an_answer_passes_the_checks_of_today(knowing: Database, embedder: MiniLM) -> None:
    """What a check objects to now is not given again, though it was fine when it was kept."""
    used = saying(knowing)
    async with running(used) as runner:
        await ask(runner)
    listed = {"lists": [{"words": ["light"], "severity": "critical"}]}
    guarded = Guard.build(embedder, strict(blocklist=listed))
    async with running(replace(used, guard=guarded)) as runner:
        _, log = await ask(runner)
    assert finished(log)["cached"] is None
    assert finished(log)["content"].startswith("I can't help with that.")


async def test_an_answer_that_a_check_touched_is_not_kept(
    knowing: Database, embedder: MiniLM
) -> None:
    """A finding in the output, even one that only warns."""
    listed = {"lists": [{"words": ["light"], "severity": "low"}]}
    guarded = Guard.build(embedder, strict(blocklist=listed))
    used = replace(saying(knowing), guard=guarded)
    async with running(used) as runner:
        for _ in range(2):
            _, log = await ask(runner)
    assert finished(log)["cached"] is None


async def test_a_broken_cache_costs_nothing_but_time(knowing: Database) -> None:
    """An entry that cannot be read, and a table that fails, are as good as no entry."""
    used = saying(knowing)
    async with running(used) as runner:
        await ask(runner)
        async with knowing.transaction(TENANT) as conn:
            await conn.execute("update answers set turn = '{}'")
        _, log = await ask(runner)
        assert finished(log)["cached"] is None
        _, log = await ask(runner)
        assert finished(log)["cached"] == "exact"  # it was kept anew


async def test_a_failing_cache_is_told_from_a_failing_database(
    knowing: Database, admin_url: str
) -> None:
    """Without its table turns go on; the error says that it is the cache."""
    used = saying(knowing)
    async with running(used) as runner:
        async with await psycopg.AsyncConnection.connect(admin_url, autocommit=True) as conn:
            await conn.execute("alter table parley.answers rename to lost")
        run, log = await ask(runner)
    assert finished(log)["content"].startswith("It scatters")
    async with knowing.transaction(TENANT) as conn:
        cache = (await turns.get(conn, UUID(run.run_id))).retrieval["cache"]
        assert cache == {"result": "skipped", "why": CacheFailed.code}
        with pytest.raises(CacheFailed):
            await answers.find(
                conn,
                answers.Asked(TENANT, b"", b"", HalfVector([0.0] * 384), None, ()),
                similarity=1,
            )


@pytest.mark.parametrize(
    "state",
    [
        TurnState(abstained=True),
        TurnState(citations=[]),
        TurnState(finish_reason="length"),
        TurnState(findings=[{"check": "injection"}]),
        TurnState(support=[{"supported": False}]),
    ],
)
def test_half_an_answer_is_not_kept(state: TurnState) -> None:
    """Abstentions, answers without sources, cut ones, and those a check had to touch."""
    citations: Any = [{"marker": 1}]
    whole = TurnState(citations=citations, finish_reason="stop", support=[{"supported": True}])
    assert worth_keeping(whole)
    assert not worth_keeping({**whole, **state})


@pytest.mark.parametrize(
    "answer",
    [
        "One [1]. Two [2].",
        "One. [1] “Two?” [2]\n\n- a list [1]\n- of 3.5 things",
        "v1.2.3 e.g. this... that [3]!",
        "no end",
        "`x[1]`.\n```\ncode[2]\n```",
        "…",
    ],
)
def test_sentences_add_up_to_the_answer(answer: str) -> None:
    """Nothing is lost or doubled when an answer leaves sentence by sentence."""
    citations: Any = [{"marker": 1}, {"marker": 2}]
    parts = list(stretches(answer, citations))
    assert "".join(sentence for sentence, _ in parts) == answer
    told = [citation["marker"] for _, new in parts for citation in new]
    assert told == [n for n in (1, 2) if f"[{n}]" in answer]
