"""Many runs at once on workers that keep dying, at random moments and at random points."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from graphs.runner import Pace
from tests.faults.crew import Worker
from tests.faults.points import AFTER_THE_DECISION, BEFORE_THE_DECISION, SENT
from tests.faults.story import POLL_SECONDS, Stage
from tests.faults.world import KINDS

# Real leases here; long enough that only the dead lose theirs on a busy machine.
PACE = Pace(lease_seconds=1.5, heartbeat_seconds=0.2, flush_seconds=0.02, max_attempts=1000)
POINTS = [name for name, _ in {*BEFORE_THE_DECISION, *AFTER_THE_DECISION, *SENT, ("taken over", 1)}]
WORKERS = 3
RUNS_AT_ONCE = 6
MOST_CALLS = 3  # of a run
LONGEST_LIFE_SECONDS = 2.0

CALLS = "select tool, arguments->>'word', status from parley.tool_calls where run_id = %s"


@dataclass
class Tally:
    """What a storm left behind."""

    kills: int = 0
    at_points: int = 0  # of the kills; the others came at any moment
    runs: int = 0
    failed: list[str] = field(default_factory=list)  # runs that did not succeed
    unapproved: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)  # by tool
    effects: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)  # that a remote got
    doubles: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)  # of which a person was asked

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        bad = (self.failed, self.unapproved, self.doubles.total(), self.missing.total())
        return not any(bad) and not self.unknown["book"] and not self.unknown["pay"]


class Storm:
    """Kills workers until it has killed enough, and counts what happened."""

    def __init__(self, stage: Stage, seed: int, kills: int) -> None:
        self._stage = stage
        self._chance = random.Random(seed)
        self._kills = kills
        self._numbers = itertools.count(1)
        self._alive: list[Worker] = []
        self._texts: set[str] = set()
        self.tally = Tally()

    async def rage(self) -> Tally:
        """Kill until it is enough, let the survivors finish, and return what was counted."""
        async with self._stage.reviewed() as asked:
            lives = [asyncio.create_task(self._lives()) for _ in range(WORKERS)]
            work = [asyncio.create_task(self._works()) for _ in range(RUNS_AT_ONCE)]
            await asyncio.gather(*lives)
            await asyncio.gather(*work)
            for approval in asked:
                self.tally.unknown[approval.tool] += 1
        for text in sorted(self._texts):
            await self._count(text)
        await self._stage.chained()
        return self.tally

    async def _lives(self) -> None:
        """Hire one worker after the other, and kill each of them, but for the last."""
        while True:
            worker = await self._stage.crew.hire()
            if self.tally.kills >= self._kills:
                await worker.enter()
                self._alive.append(worker)
                return
            armed = self._chance.random() < 0.5
            if armed:
                point = self._chance.choice(POINTS), self._chance.randint(1, 3)
                await worker.arm(point)
            await worker.tell("enter")
            self._alive.append(worker)
            life = self._chance.uniform(0, LONGEST_LIFE_SECONDS)
            try:
                async with asyncio.timeout(LONGEST_LIFE_SECONDS if armed else life):
                    await worker.gone.wait()
                self.tally.at_points += 1
            except TimeoutError:
                worker.signal(signal.SIGKILL)
            self._alive.remove(worker)
            assert await worker.died() == -signal.SIGKILL
            self.tally.kills += 1

    async def _works(self) -> None:
        """Begin one run after the other until the killing has ended."""
        while self.tally.kills < self._kills:
            if not self._alive:
                await asyncio.sleep(POLL_SECONDS)
                continue
            asked = [
                f"{self._chance.choice(KINDS)} w{next(self._numbers):06}"
                for _ in range(self._chance.randint(1, MOST_CALLS))
            ]
            text = " ".join(asked)
            worker = self._chance.choice(self._alive)
            await worker.tell("start", text=text)
            begun = asyncio.create_task(self._stage.run_of(text))
            died = asyncio.create_task(worker.gone.wait())
            await asyncio.wait({begun, died}, return_when=asyncio.FIRST_COMPLETED)
            died.cancel()
            if not begun.done() and not await self._stage.exists(text):
                begun.cancel()  # the message died with the worker
                continue
            self._texts.add(text)
            await begun
            await self._stage.end(text)

    async def _count(self, text: str) -> None:
        run_id = await self._stage.run_of(text)
        tally = self.tally
        tally.runs += 1
        if (status := await self._stage.status(run_id)) != "succeeded":
            tally.failed.append(f"{text}: {status}")
        try:
            await self._stage.permitted(run_id)
        except AssertionError as fault:
            tally.unapproved.append(f"{text}: {fault}")
        calls: list[Any] = await self._stage.ask(CALLS, run_id)
        if len(calls) != len(text.split()) // 2:
            tally.failed.append(f"{text}: {len(calls)} calls")
        for tool, word, _ in calls:
            count = await self._stage.effects(word)
            tally.calls[tool] += 1
            tally.effects[tool] += count
            tally.requests[tool] += self._stage.remote.requests[word]
            tally.doubles[tool] += count > 1
            tally.missing[tool] += count < 1
