"""A LangGraph saver that keeps a run's steps in memory until they are worth a commit.

A turn that ends within one flush interval never writes a checkpoint at all: should its process
die, the run starts again from its input, which is stored. Longer turns are flushed together
with their events, in the same transaction, so the log and the checkpoint always agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncConnection
from psycopg.rows import DictRow, TupleRow
from psycopg_pool import AsyncConnectionPool

from db.sql import Statement, load

SQL = load(__file__)

# None: only the library's own safe types. A crafted row must not be able to name a callable.
_SERDE = {"allowed_msgpack_modules": None}

Put = tuple[RunnableConfig, Checkpoint, CheckpointMetadata, ChannelVersions]
Write = tuple[RunnableConfig, Sequence[tuple[str, Any]], str, str]
Mark = tuple[Put | None, list[Write]]


class RunSaver(AsyncPostgresSaver):
    """The checkpoints of one run; one saver a run, because a saver serialises its callers."""

    def __init__(self, pool: AsyncConnectionPool[Any], *, fresh: bool) -> None:
        """fresh: nothing is stored for this run yet, so reading would be a wasted round trip."""
        super().__init__(pool, serde=JsonPlusSerializer(**_SERDE))  # type: ignore[arg-type]
        self._fresh = fresh
        self._put: Put | None = None
        self._writes: list[Write] = []
        self.stored = not fresh

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the newest checkpoint, flushed or not."""
        if self._put is not None:
            return self._newest(*self._put[:3])
        return None if self._fresh else await super().aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep the checkpoint for the next flush, in place of the one before.

        A run resumes from its newest checkpoint alone, and that holds what earlier tasks wrote.
        """
        unstored = {} if self._put is None else self._put[3]
        self._put = (config, checkpoint, metadata, {**unstored, **new_versions})
        self._writes = []
        return _at(config, checkpoint["id"])

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep the writes of a task for the next flush."""
        self._writes.append((config, writes, task_id, task_path))

    @property
    def pending(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._put or self._writes)

    async def flush(self, conn: AsyncConnection[TupleRow]) -> Mark:
        """Write what is pending through `conn`, inside the caller's transaction.

        Return what to give to `flushed` once that has committed.
        """
        put, writes = self._put, list(self._writes)
        stock = _stock(conn)
        if put is not None:
            await stock.aput(*put)
        for write in writes:
            await stock.aput_writes(*write)
        self.stored = True
        return put, writes

    def flushed(self, mark: Mark) -> None:
        """Note that what was pending at `mark` is stored."""
        put, writes = mark
        self._fresh = False
        if self._put is put:
            self._put = None
        self._writes = [write for write in self._writes if all(write is not one for one in writes)]

    def _newest(
        self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata
    ) -> CheckpointTuple:
        at = _at(config, checkpoint["id"])
        pending = [
            (task_id, channel, value)
            for _, writes, task_id, _ in self._writes
            for channel, value in writes
        ]
        parent = config if config["configurable"].get("checkpoint_id") else None
        return CheckpointTuple(at, checkpoint, metadata, parent, pending)


def pruning(run_id: UUID, lease_token: int) -> Statement:
    """Return what removes the checkpoints of a run, if this lease has ended it."""
    return SQL["prune"], {"run_id": run_id, "lease_token": lease_token}


def _stock(conn: AsyncConnection[TupleRow]) -> AsyncPostgresSaver:
    rows: AsyncConnection[DictRow] = conn  # type: ignore[assignment]  # it sets its own row factory
    return AsyncPostgresSaver(rows, serde=JsonPlusSerializer(**_SERDE))  # type: ignore[arg-type]


def _at(config: RunnableConfig, checkpoint_id: str) -> RunnableConfig:
    configurable = config["configurable"]
    return {
        "configurable": {
            "thread_id": configurable["thread_id"],
            "checkpoint_ns": configurable.get("checkpoint_ns", ""),
            "checkpoint_id": checkpoint_id,
        }
    }
