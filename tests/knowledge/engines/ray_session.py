"""python -m tests.knowledge.engines.ray_session DATABASE_URL FOLDER: a worker is killed.

Ingests the folder with two workers, one of which gets SIGKILL after the first document, and prints
the summary as a line of JSON. In a process of its own, because Ray starts others and expects to
be alone.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import psutil

from core.settings import KnowledgeSettings
from db.pool import Database
from knowledge.console import describe
from knowledge.engines.ray import ingest
from knowledge.summary import Outcome, Silent


class Killer(Silent):
    """Kills a worker as soon as one document is done."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.reported = 0

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """Kill, once."""
        self.reported += 1
        if not self.killed:
            worker = workers()[0]
            worker.send_signal(signal.SIGKILL)
            self.killed.append(worker.pid)


def workers() -> list[psutil.Process]:
    """Return the processes that ingest."""
    found = psutil.Process().children(recursive=True)
    return [child for child in found if child.cmdline()[0].startswith("ray::Worker")]


async def main() -> None:
    """Ingest."""
    url, folder = sys.argv[1], Path(sys.argv[2])
    killer = Killer()
    async with Database.open(url) as database:
        summary = await ingest(
            database,
            [folder],
            tenant_id="default",
            settings=KnowledgeSettings(),
            report=killer,
            workers=2,
        )
    result = describe(summary) | {"killed": len(killer.killed), "reported": killer.reported}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
