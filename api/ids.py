"""Ids in paths: what is not an id names nothing, so it is a 404 like any unknown one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from api.caller import Caller
from core.errors import NotFound, RunNotFound, ThreadNotFound
from db import threads

_EXAMPLE = "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10"


def canonical(text: str, error: type[NotFound]) -> UUID:
    """Return the UUID written in its usual form; raises `error` for anything else."""
    try:
        value = UUID(text)
    except ValueError as reason:
        raise error from reason
    if str(value) != text.lower():
        raise error
    return value


async def owned(conn: AsyncConnection[TupleRow], caller: Caller, thread_id: UUID) -> threads.Thread:
    """Return the thread when it is the caller's; another user's is ThreadNotFound."""
    thread = await threads.get(conn, thread_id)
    if thread.user_id != caller.user_id:
        raise ThreadNotFound
    return thread


async def _thread_id(thread_id: Annotated[str, Path(examples=[_EXAMPLE])]) -> UUID:
    return canonical(thread_id, ThreadNotFound)


async def _run_id(run_id: Annotated[str, Path(examples=[_EXAMPLE])]) -> UUID:
    return canonical(run_id, RunNotFound)


ThreadId = Annotated[UUID, Depends(_thread_id)]
RunId = Annotated[UUID, Depends(_run_id)]
