"""Waiting for a fact, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def eventually(fact: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Return when `fact()` holds; a fact that never does fails the test."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(fact):
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def wait_until(fact: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """The same for tests without a loop."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)
