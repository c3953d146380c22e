"""A LangGraph saver that keeps a run's steps in memory until they are worth a commit.

A turn that ends within one flush interval never writes a checkpoint at all: should its process
die, the run starts again from its input, which is stored. Longer turns are flushed together
with their events, in the same transaction, so the log and the checkpoint always agree.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, cast
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg import AsyncConnection
from psycopg.rows import DictRow, TupleRow
from psycopg_pool import AsyncConnectionPool

from core.errors import CheckpointRefused
from db.pool import Database
from db.sql import Statement, load

SQL = load(__file__)
log = logging.getLogger(__name__)
WRITTEN = frozenset(
    {"null", "bytes", "bytearray", "msgpack"}
)  # types of values; no JSON, no pickle
MOST_NAME = 200  # characters of a blocked name in the log

# What the deserialiser would not build, in the row that is being read.
_blocked: ContextVar[list[str] | None] = ContextVar("blocked", default=None)


class Strict(JsonPlusSerializer):
    """Builds the library's own safe types and nothing else.

    A crafted row must not be able to name a callable. The library leaves out what it blocks and
    goes on with the rest, as if nothing had been there; here the row is refused.
    """

    def __init__(self) -> None:
        """Take what is allowed from nobody: not from the environment either."""
        super().__init__(allowed_msgpack_modules=None, allowed_json_modules=None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return a value; raises CheckpointRefused when it names what is not allowed."""
        if data[0] not in WRITTEN:
            log.error("a checkpoint is of type %s, which nothing here writes", data[0][:MOST_NAME])
            raise CheckpointRefused
        found: list[str] = []
        token = _blocked.set(found)
        forget = register_serde_event_listener(_note)
        try:
            value = super().loads_typed(data)
        except Exception as error:
            raise CheckpointRefused from error
        finally:
            forget()
            _blocked.reset(token)
        if found:
            log.error("a checkpoint names %s; somebody may have crafted it", ", ".join(found))
            raise CheckpointRefused
        return value


def _note(event: SerdeEvent) -> None:
    if (found := _blocked.get()) is not None:
        found.append(f"{event['module']}.{event['name']}"[:MOST_NAME])


class RunSaver(AsyncPostgresSaver):
    """The checkpoints of one run; one saver a run, because a saver serialises its callers."""

    def __init__(self, database: Database, *, fresh: bool) -> None:
        """fresh: nothing is stored for this run yet, so reading would be a wasted round trip."""
        super().__init__(cast(AsyncConnectionPool[Any], database.pool), serde=Strict())
        self._database = database
        self._fresh = fresh
        self._puts: list[tuple[RunnableConfig, Checkpoint, CheckpointMetadata, Any]] = []
        self._writes: list[tuple[RunnableConfig, Sequence[tuple[str, Any]], str, str]] = []
        self._flushed = (0, 0)  # puts and writes of a transaction that has not been committed yet
        self.stored = not fresh

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the newest checkpoint, flushed or not; raises DatabaseUnavailable."""
        if self._puts:
            return self._newest()
        if self._fresh:
            return None
        # As everybody else here: the pool alone keeps neither cancellations nor connections safe.
        async with self._database.connection() as conn:
            return await _stock(conn).aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep the checkpoint for the next flush."""
        self._puts.append((config, checkpoint, metadata, new_versions))
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
        return bool(self._puts or self._writes)

    async def flush(self, conn: AsyncConnection[TupleRow]) -> None:
        """Write what is pending through `conn`, inside the caller's transaction.

        It stays pending until `settle`: a transaction that fails has written nothing.
        """
        puts, writes = tuple(self._puts), tuple(self._writes)
        stock = _stock(conn)
        for put in puts:
            await stock.aput(*put)
        for write in writes:
            await stock.aput_writes(*write)
        self._flushed = (len(puts), len(writes))
        self._fresh = False
        self.stored = True

    def settle(self) -> None:
        """Forget what the last flush has written; its transaction has been committed."""
        puts, writes = self._flushed
        del self._puts[:puts], self._writes[:writes]
        self._flushed = (0, 0)

    def _newest(self) -> CheckpointTuple:
        config, checkpoint, metadata, _ = self._puts[-1]
        at = _at(config, checkpoint["id"])
        pending = [
            (task_id, channel, value)
            for written, writes, task_id, _ in self._writes
            if written["configurable"].get("checkpoint_id") == checkpoint["id"]
            for channel, value in writes
        ]
        parent = config if config["configurable"].get("checkpoint_id") else None
        return CheckpointTuple(at, checkpoint, metadata, parent, pending)


def pruning(run_id: UUID, lease_token: int) -> Statement:
    """Return what removes the checkpoints of a run, if this lease has ended it."""
    return SQL["prune"], {"run_id": run_id, "lease_token": lease_token}


async def prune(conn: AsyncConnection[TupleRow], run_id: str) -> None:
    """Remove the checkpoints of a run that has ended."""
    await _stock(conn).adelete_thread(run_id)


def _stock(conn: AsyncConnection[TupleRow]) -> AsyncPostgresSaver:
    rows: AsyncConnection[DictRow] = conn  # type: ignore[assignment]  # it sets its own row factory
    return AsyncPostgresSaver(rows, serde=Strict())


def _at(config: RunnableConfig, checkpoint_id: str) -> RunnableConfig:
    configurable = config["configurable"]
    return {
        "configurable": {
            "thread_id": configurable["thread_id"],
            "checkpoint_ns": configurable.get("checkpoint_ns", ""),
            "checkpoint_id": checkpoint_id,
        }
    }
