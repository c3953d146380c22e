"""Cancellation that arrives although it was lost on its way."""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Raise CancelledError when this task was asked to end and somebody has swallowed it.

    Before Python 3.12 `asyncio.wait_for` does, and with it connection pools, when what it waits
    for comes at the same moment. Call it where a task would go on waiting for another one.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
