"""Cancellation that arrives although it was lost on its way."""

from __future__ import annotations

import asyncio


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
