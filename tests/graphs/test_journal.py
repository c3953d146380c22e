"""The log of a run in the process that works on it."""

from __future__ import annotations

import asyncio

from core.events import Event
from graphs.journal import ATTEMPT_BASE, Journal


async def collect(journal: Journal, after: int) -> list[Event]:
    return [event async for event in journal.follow(after)]


async def test_a_listener_gets_what_was_and_what_comes() -> None:
    """It may join at any event and misses nothing."""
    journal = Journal(attempt=1)
    journal.emit("token", {"text": "a"})
    journal.emit("token", {"text": "b"})
    listeners = [asyncio.create_task(collect(journal, after)) for after in range(4)]
    await asyncio.sleep(0)
    journal.emit("token", {"text": "c"})
    await asyncio.sleep(0)
    journal.seal(("run.finished", {}))
    journal.close(ended=True)
    seen = await asyncio.gather(*listeners)
    assert [[event.seq for event in events] for events in seen] == [
        [1, 2, 3, 4],
        [2, 3, 4],
        [3, 4],
        [4],
    ]


async def test_sealed_events_wait_for_the_commit() -> None:
    """What announces the end is not shown before the end is stored."""
    journal = Journal(attempt=1)
    journal.emit("token", {"text": "a"})
    waiting = journal.seal(("run.finished", {}))
    assert [event.type for event in waiting] == ["token", "run.finished"]
    listener = asyncio.create_task(collect(journal, 0))
    await asyncio.sleep(0)
    journal.close(ended=False)
    assert [event.type for event in await listener] == ["token"]


async def test_stored_events_are_not_stored_again() -> None:
    """A flush takes only what came since the last one."""
    journal = Journal(attempt=1)
    journal.emit("token", {"text": "a"})
    journal.mark_stored(len(journal.unstored()))
    journal.emit("token", {"text": "b"})
    assert [event.data["text"] for event in journal.unstored()] == ["b"]


async def test_attempts_never_share_a_number() -> None:
    """The second attempt counts from above anything the first can have sent."""
    journal = Journal(attempt=2)
    journal.emit("run.resumed", {})
    assert journal.unstored()[0].seq == ATTEMPT_BASE + 1
