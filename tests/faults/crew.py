"""Hires workers, sees them die, and lets others take over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from graphs.runner import Pace
from tests.faults.points import Fate, Point
from tests.project import ROOT

# Long leases: a test ends those of the dead itself, so nobody loses one to a busy machine.
PATIENT = Pace(lease_seconds=600, heartbeat_seconds=0.1, flush_seconds=0.02, max_attempts=1000)


class Nursery:
    """The process that workers are forked from."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._busy = threading.Lock()  # not a loop's: it serves the tests of a session

    async def fork(self, told: dict[str, Any]) -> int:
        """Return the id of a new worker."""
        return int(await self._ask(f"fork {json.dumps(told)}"))

    async def wait(self, pid: int) -> int:
        """Return how a worker has ended; a negative number is the signal that killed it."""
        return int(await self._ask(f"wait {pid}"))

    async def _ask(self, line: str) -> str:
        def ask() -> str:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with self._busy:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
                return self._process.stdout.readline()

        return await asyncio.to_thread(ask)


@contextmanager
def nursing(log: Path) -> Iterator[Nursery]:
    """Yield a nursery; what its workers log goes into a file."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield Nursery(process)
    finally:
        process.communicate()  # closing its stdin ends it


class Worker:
    """A process that works on runs."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.gone = asyncio.Event()  # its socket has closed
        self._nursery = nursery
        self._told: asyncio.Queue[str] = asyncio.Queue()
        self._writer: asyncio.StreamWriter | None = None
        self._ending: asyncio.Task[int] | None = None

    async def arm(self, point: Point, fate: Fate = "kill") -> None:
        """Let it meet its fate at a point."""
        name, nth = point
        await self.tell("arm", point=name, nth=nth, fate=fate)
        await self.done("arm")

    async def enter(self) -> None:
        """Let it begin to work."""
        await self.tell("enter")
        await self.done("enter")

    async def tell(self, order: str, **more: Any) -> None:
        """Give an order; it may die before it has done it."""
        assert self._writer is not None
        self._writer.write(json.dumps({"do": order, **more}).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def done(self, order: str) -> None:
        """Return when it says that it has done it."""
        assert await self._told.get() == order

    async def died(self) -> int:
        """Return its exit code once it is gone; negative: the signal that killed it."""
        await self.gone.wait()
        if self._ending is None:  # it can be asked once only, whoever gives up waiting for it
            self._ending = asyncio.create_task(self._nursery.wait(self.pid))
        return await asyncio.shield(self._ending)

    def signal(self, what: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, what)

    async def follow(
        self, first: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take what it says, until it is gone."""
        self._writer = writer
        with contextlib.suppress(ConnectionError):
            line = first.encode()
            while line:
                self._told.put_nowait(json.loads(line)["did"])
                line = await reader.readline()
        self.gone.set()
        writer.close()


class Crew:
    """The workers of a test."""

    def __init__(self, nursery: Nursery, url: str, remote: str, pace: Pace, grace: float) -> None:
        self._nursery = nursery
        self._terms = {"url": url, "remote": remote, "pace": asdict(pace), "grace_seconds": grace}
        self._port = 0
        self._workers: dict[int, Worker] = {}
        self._hired: dict[int, asyncio.Event] = {}

    async def hire(self) -> Worker:
        """Return a worker that has opened the database and does nothing yet."""
        pid = await self._nursery.fork({**self._terms, "port": self._port})
        worker = self._workers[pid] = Worker(self._nursery, pid)
        self._hired.setdefault(pid, asyncio.Event()).set()
        await worker.done("open")
        return worker

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = (await reader.readline()).decode()
        if not first:
            writer.close()
            return
        pid = json.loads(first)["pid"]
        await self._hired.setdefault(pid, asyncio.Event()).wait()
        await self._workers[pid].follow(first, reader, writer)

    async def dismiss(self) -> None:
        """Let nobody stay behind."""
        for worker in self._workers.values():
            if not worker.gone.is_set():
                worker.signal(signal.SIGKILL)
            await worker.died()

    @classmethod
    @asynccontextmanager
    async def of(
        cls, nursery: Nursery, url: str, remote: str, pace: Pace = PATIENT, grace: float = 10.0
    ) -> AsyncIterator[Crew]:
        """Yield a crew that works on one database."""
        crew = cls(nursery, url, remote, pace, grace)
        async with await asyncio.start_server(crew._meet, "127.0.0.1", 0) as server:
            crew._port = server.sockets[0].getsockname()[1]
            try:
                yield crew
            finally:
                await crew.dismiss()
