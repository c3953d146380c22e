"""The requests that are answered at once, and those that wait for their turn."""

from __future__ import annotations

import asyncio
import time
from collections import deque


class Batch:
    """Places for a number of requests; who finds none waits, first come, first served.

    size: None for as many as come. It may change at any time: those that are in stay in.
    """

    def __init__(self, size: int | None = None) -> None:
        self.running = 0
        self._size = size
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether the next one has to wait."""
        return self._size is not None and self.running >= self._size

    async def enter(self) -> None:
        """Take a place as soon as there is one; `leave` gives it back."""
        if not self.is_full and not self._waiting:
            self.running += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():  # its turn had come in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """Give a place back."""
        self.running -= 1
        self._admit()

    def resize(self, size: int | None) -> None:
        """Let so many in from now on."""
        self._size = size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and not self.is_full:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.running += 1  # here, or a newcomer could take the place before it wakes
                turn.set_result(None)


class Slot:
    """A request that was let in; it takes one place in the batch, however often it asks."""

    def __init__(self, batch: Batch) -> None:
        self.waited_seconds = 0.0
        self._batch = batch
        self._placed = False

    async def enter(self) -> None:
        """Wait for the place."""
        if not self._placed:
            began = time.perf_counter()
            await self._batch.enter()
            self._placed = True
            self.waited_seconds = time.perf_counter() - began

    def leave(self) -> None:
        """Give the place back, if there was one."""
        if self._placed:
            self._batch.leave()
