"""Things start at the same time and close in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.build import started
from core.errors import DatabaseUnavailable


class Log:
    """What happened, in order, and managers that write to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @asynccontextmanager
    async def manager(
        self, name: str, *, after: asyncio.Event | None = None, error: Exception | None = None
    ) -> AsyncIterator[str]:
        self.lines.append(f"open {name}")
        try:
            if after is not None:
                await after.wait()
            if error is not None:
                raise error
            yield name
        finally:
            self.lines.append(f"close {name}")


async def test_they_start_together_and_close_in_reverse() -> None:
    """The second begins before the first is ready."""
    log, go = Log(), asyncio.Event()
    async with started(log.manager("a", after=go)) as a, started(log.manager("b")) as b:
        assert await b == "b"
        go.set()
        assert await a == "a"
    assert log.lines == ["open a", "open b", "close b", "close a"]


async def test_a_failed_start_is_told_to_who_awaits_it() -> None:
    """The others are closed, and the error is the one that was raised."""
    log = Log()

    async def main() -> None:
        async with (
            started(log.manager("a")) as a,
            started(log.manager("b", error=DatabaseUnavailable())) as b,
        ):
            await a
            await b

    with pytest.raises(DatabaseUnavailable):
        await main()
    assert log.lines == ["open a", "open b", "close b", "close a"]


async def test_a_failure_elsewhere_cancels_what_is_still_starting() -> None:
    """Nothing is left half open when the body fails."""
    log = Log()

    async def main() -> None:
        async with started(log.manager("a", after=asyncio.Event())):
            await asyncio.sleep(0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await main()
    assert log.lines == ["open a", "close a"]


async def test_an_interrupted_start_closes_what_was_opened() -> None:
    """Ctrl+C while one part is starting ends it and closes the others."""
    log = Log()

    async def main() -> None:
        async with (
            started(log.manager("a")) as a,
            started(log.manager("b", after=asyncio.Event())) as b,
        ):
            await a
            await b

    task = asyncio.create_task(main())
    while len(log.lines) < 2:  # noqa: ASYNC110 - two turns of the loop
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log.lines == ["open a", "open b", "close b", "close a"]


async def test_timeouts_inside_a_manager_work() -> None:
    """One task enters and leaves a manager, which asyncio.timeout insists on."""

    @asynccontextmanager
    async def strict() -> AsyncIterator[int]:
        async with asyncio.timeout(60), asyncio.TaskGroup():
            yield 1

    async with started(strict()) as value:
        assert await value == 1
