"""What a run's saver keeps is what LangGraph's own saver would have kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    empty_checkpoint,
)
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict
from uuid_utils.compat import uuid7

from core.errors import DatabaseUnavailable
from db.checkpoints import RunSaver
from db.pool import Database


class State(TypedDict, total=False):
    """Values of the kinds that a turn has."""

    text: str
    said: list[str]
    results: dict[str, dict[str, Any]]
    count: int


async def one(state: State) -> State:
    return {"said": [*state.get("said", []), "one"], "count": 1}


async def ask(state: State) -> State:
    answer = interrupt({"may I": state["text"]})
    return {"results": {"ask": {"answer": answer}}}


async def two(state: State) -> State:
    return {"said": [*state["said"], "two"], "count": state["count"] + 1}


def graph() -> StateGraph[State]:
    made = StateGraph(State)
    for node in (one, ask, two):
        made.add_node(node.__name__, node)
    made.add_edge(START, "one")
    made.add_edge("one", "ask")
    made.add_edge("ask", "two")
    made.add_edge("two", END)
    return made


def at(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


async def flush(saver: RunSaver, database: Database, tenant: str) -> None:
    async with database.transaction(tenant) as conn:
        await saver.flush(conn)
    saver.settle()


async def history(database: Database, thread: str) -> list[Any]:
    """Return all that is stored about a thread, oldest first, without the ids."""
    stock = AsyncPostgresSaver(database.pool)  # type: ignore[arg-type]
    found = [one async for one in stock.alist(at(thread))][::-1]
    places = {one.config["configurable"]["checkpoint_id"]: n for n, one in enumerate(found)}
    return [
        {
            "metadata": dict(one.metadata),
            "values": one.checkpoint["channel_values"],
            "channels": sorted(one.checkpoint["channel_versions"]),
            "seen": {name: sorted(seen) for name, seen in one.checkpoint["versions_seen"].items()},
            "parent": one.parent_config
            and places[one.parent_config["configurable"]["checkpoint_id"]],
            "writes": sorted(
                (channel, plain(value)) for _, channel, value in one.pending_writes or ()
            ),
        }
        for one in found
    ]


def plain(value: Any) -> str:
    """Return a written value as text; of interrupts what they ask, because their ids are random."""
    asked = value if isinstance(value, (list, tuple)) else [value]
    return repr([getattr(one, "value", one) for one in asked])


async def test_the_history_is_that_of_the_stock_saver(database: Database, tenant: str) -> None:
    """A graph that is interrupted and goes on leaves the same checkpoints, values and writes."""
    stock, ours = str(uuid7()), str(uuid7())
    usual = graph().compile(AsyncPostgresSaver(database.pool))  # type: ignore[arg-type]
    await usual.ainvoke({"text": "act"}, at(stock), durability="sync")
    first = RunSaver(database, fresh=True)
    await graph().compile(first).ainvoke({"text": "act"}, at(ours), durability="sync")
    assert await history(database, ours) == []  # nothing was written before it was worth it
    await flush(first, database, tenant)
    paused = await history(database, stock)
    assert await history(database, ours) == paused
    assert any(name == "__interrupt__" for name, _ in paused[-1]["writes"])

    resumed = RunSaver(database, fresh=False)
    given: Command[Any] = Command(resume="yes")
    await usual.ainvoke(given, at(stock), durability="sync")
    result = await graph().compile(resumed).ainvoke(given, at(ours), durability="sync")
    await flush(resumed, database, tenant)
    assert result["said"] == ["one", "two"]
    assert await history(database, ours) == await history(database, stock)


async def test_a_flush_that_fails_loses_nothing(database: Database, tenant: str) -> None:
    """What a broken transaction did not keep is written by the next one."""
    thread, saver = str(uuid7()), RunSaver(database, fresh=True)
    await graph().compile(saver).ainvoke({"text": "act"}, at(thread), durability="sync")

    async def fail() -> None:
        async with database.transaction(tenant) as conn:
            await saver.flush(conn)
            raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await fail()
    assert saver.pending
    assert await history(database, thread) == []
    await flush(saver, database, tenant)
    assert not saver.pending
    assert len(await history(database, thread)) == 3


async def test_what_comes_during_a_flush_waits_for_the_next(
    database: Database, tenant: str
) -> None:
    """A step that ends while the one before it is being written is not taken for written."""
    thread, saver = str(uuid7()), RunSaver(database, fresh=True)
    config = at(thread)
    config["configurable"]["checkpoint_ns"] = ""
    config = await saver.aput(config, empty_checkpoint(), {"step": 0}, {})
    async with database.transaction(tenant) as conn:
        await saver.flush(conn)
        await saver.aput(config, empty_checkpoint(), {"step": 1}, {})
    saver.settle()
    assert saver.pending
    await flush(saver, database, tenant)
    assert [one["metadata"]["step"] for one in await history(database, thread)] == [0, 1]


class Flushing(RunSaver):
    """Writes each thing at once, as other savers do."""

    def __init__(self, database: Database, tenant: str) -> None:
        super().__init__(database, fresh=False)
        self._whole = database
        self._tenant = tenant

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint."""
        put = await super().aput(config, checkpoint, metadata, new_versions)
        await flush(self, self._whole, self._tenant)
        return put

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep the writes of a task."""
        await super().aput_writes(config, writes, task_id, task_path)
        await flush(self, self._whole, self._tenant)


async def test_langgraphs_own_conformance_suite_passes(database: Database, tenant: str) -> None:
    """What is flushed is read, listed and deleted as its makers want it of every saver."""

    @checkpointer_test(name="RunSaver")
    async def saver() -> AsyncIterator[RunSaver]:
        yield Flushing(database, tenant)

    report = await validate(saver)
    failures = [one for result in report.results.values() for one in result.failures]
    assert failures == []
    assert report.passed_all_base()
    assert sum(result.tests_passed for result in report.results.values()) > 50
