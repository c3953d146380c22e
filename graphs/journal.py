"""The log of one run while this process works on it.

Events are numbered here, handed to local listeners at once, and stored by the runner in
stretches. Each attempt numbers from its own base, so an event that a listener saw but that was
not stored when the process died can never share its number with one of the next attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from core.events import Event, EventType

ATTEMPT_BASE = 1_000_000


class Journal:
    """Numbered events of one attempt."""

    def __init__(self, attempt: int) -> None:
        self.base = (attempt - 1) * ATTEMPT_BASE
        self._events: list[Event] = []
        self._stored = 0  # how many of them are in the database
        self._visible = 0  # how many of them listeners may see
        self._closed = False
        self._changed = asyncio.Event()

    def emit(self, type_: EventType, data: dict[str, Any]) -> None:
        """Append an event that listeners see at once."""
        self._append(type_, data)
        self._show()

    def seal(self, *last: tuple[EventType, dict[str, Any]]) -> list[Event]:
        """Append the last events, hidden until `close`; return all that is not stored yet.

        They announce what the database is about to hold, so they wait for its commit:
        who reads `run.finished` may begin the next turn at once.
        """
        for type_, data in last:
            self._append(type_, data)
        return self.unstored()

    def close(self, *, ended: bool) -> None:
        """End the log here; show the sealed events only when they were stored."""
        self._closed = True
        if ended:
            self._visible = len(self._events)
        self._wake()

    def unstored(self) -> list[Event]:
        """Return the events that are not in the database yet."""
        return self._events[self._stored :]

    def mark_stored(self, count: int) -> None:
        """Note that the next `count` events are in the database."""
        self._stored += count

    async def follow(self, after: int) -> AsyncIterator[Event]:
        """Yield the visible events of this attempt above `after` as they come, until the end."""
        position = max(0, after - self.base)
        while True:
            changed = self._changed
            while position < self._visible:
                yield self._events[position]
                position += 1
            if self._closed:
                return
            await changed.wait()

    def _append(self, type_: EventType, data: dict[str, Any]) -> None:
        self._events.append(Event(self.base + len(self._events) + 1, type_, data))

    def _show(self) -> None:
        self._visible = len(self._events)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
