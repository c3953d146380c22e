"""Ends of tasks: work beside a block, and cancellation that was lost on its way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any


def cancellations() -> int:
    """Return how often this task was asked to end, heard or not."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


def heed_cancellation(*, beyond: int = 0) -> None:
    """Raise CancelledError when this task was asked to end and somebody has swallowed it.

    Before Python 3.12 `asyncio.wait_for` does, and with it connection pools, when what it waits
    for comes at the same moment. Call it where a task would go on waiting for another one.
    beyond: so many `cancellations` were heard before; who tidies up after one goes on.
    """
    if cancellations() > beyond:
        raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` as long as the block runs; when the block has ended, so has the work.

    The block does not hear of it when the work fails: look at the task.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
