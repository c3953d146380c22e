"""kill -9 at every point of a turn, for tools of each kind: rows 1 to 4."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from graphs import chat
from tests.faults.crew import Worker
from tests.faults.points import (
    AFTER_THE_DECISION,
    BEFORE_THE_DECISION,
    DECIDING,
    SENT,
    UNCERTAIN,
    WITHIN,
    Point,
)
from tests.faults.story import Stage, Story
from tests.graphs.acting import pending

_numbers = itertools.count(1)
QUESTIONS: dict[str, tuple[Point, ...]] = {
    "why": tuple(
        (f"{side} {name}", 1) for name in ("reuse", "retrieve") for side in ("before", "after")
    ),
    "hm": (("before clarify", 1), ("after clarify", 1)),
    "forbidden": (("before refuse", 1), ("after refuse", 1)),
}


def word() -> str:
    """Return a word that no other run has."""
    return f"w{next(_numbers):05}"


class Relay:
    """Workers one after the other: each takes over from the one that died."""

    def __init__(self, stage: Stage, first: Worker) -> None:
        self._stage = stage
        self._at_work = first

    async def undisturbed(self, text: str) -> str:
        """Return the run of a message after its end."""
        await self._at_work.tell("start", text=text)
        await self._at_work.done("start")
        return await self._stage.end(text)

    async def killed(self, text: str, *points: Point) -> str:
        """Return the run of a message after its end; a worker dies at each of the points."""
        for place, point in enumerate(points):
            hired = asyncio.create_task(self._stage.crew.hire())
            await self._at_work.arm(point)
            if place == 0:
                await self._at_work.tell("start", text=text)
            else:
                await self._at_work.enter()
            died = asyncio.create_task(self._at_work.died())
            ended = asyncio.create_task(self._stage.end(text))
            await asyncio.wait({died, ended}, return_when=asyncio.FIRST_COMPLETED)
            # A worker that dies after the end of its run dies all the same.
            if not died.done() and point[0] not in ("ended", "ending, not committed"):
                raise AssertionError(f"{point} was never reached")
            assert await died == -signal.SIGKILL
            ended.cancel()
            self._at_work = await hired
            await self._stage.lapse()
        await self._at_work.enter()
        return await self._stage.end(text)


@asynccontextmanager
async def relay(stage: Stage) -> AsyncIterator[Relay]:
    worker = await stage.crew.hire()
    await worker.enter()
    yield Relay(stage, worker)


async def lived_through(stage: Stage, kind: str, points: Sequence[tuple[Point, ...]]) -> None:
    """Assert that a run ends as if nothing had been, wherever its worker dies."""
    async with relay(stage) as workers, stage.reviewed() as asked:
        first = word()
        plain = await stage.story(await workers.undisturbed(f"{kind} {first}"), first)
        assert plain.status == "succeeded"
        for at in points:
            one = word()
            asked.clear()
            run_id = await workers.killed(f"{kind} {one}", *at)
            story = await stage.story(run_id, one)
            count = await stage.effects(one)
            assert count == 1, f"{at}: {count} effects"
            await stage.permitted(run_id)
            unknown = kind == "mail" and at[-1][0] in UNCERTAIN
            assert len(asked) == unknown, at
            assert story == (told(plain) if unknown and UNCERTAIN[at[-1][0]] else plain), at
        await stage.chained()


def told(plain: Story) -> Story:
    """Return how a run ends when a person has said what came of its call."""
    [call] = plain.calls
    answered = [*call[:2], "answered", "It was sent.", "answered"]
    return Story(
        plain.status, plain.said, [answered], [[["answered"]]], plain.told, plain.checkpoints
    )


@pytest.mark.parametrize("kind", ["book", "pay", "mail"])
async def test_row_4_before_the_decision(stage: Stage, kind: str) -> None:
    """Killed anywhere before somebody decides, a run asks once, acts once, and ends as ever."""
    await lived_through(stage, kind, [(point,) for point in BEFORE_THE_DECISION])


@pytest.mark.parametrize("kind", ["book", "pay", "mail"])
async def test_row_4_after_the_decision(stage: Stage, kind: str) -> None:
    """Killed anywhere after it, a run makes the call once, and ends as ever."""
    twice: tuple[Point, ...] = (("before act", 1), ("taken over", 1))
    await lived_through(stage, kind, [*((point,) for point in AFTER_THE_DECISION), twice])


async def test_row_1_within_our_database(stage: Stage) -> None:
    """Killed inside the transaction of a tool, or right after it: the effect is there once."""
    await lived_through(stage, "book", [(point,) for point in WITHIN])


async def test_row_2_a_remote_with_keys(stage: Stage) -> None:
    """Killed around a call to a remote that knows keys: sent again with the same one, done once."""
    await lived_through(stage, "pay", [(point,) for point in SENT])
    # Where it had arrived, it did arrive again.
    assert max(stage.remote.requests.values()) == 2
    assert set(stage.remote.effects.values()) == {1}


async def test_row_3_a_remote_without_keys(stage: Stage) -> None:
    """Killed around a call that cannot be repeated: never sent again unless a person says so."""
    await lived_through(stage, "mail", [(point,) for point in SENT])
    assert stage.remote.requests == stage.remote.effects


async def test_row_4_turns_without_tools(stage: Stage) -> None:
    """Killed in any node of a question, a counter-question or a refusal: answered as ever."""
    async with relay(stage) as workers:
        for begins, points in QUESTIONS.items():
            first = word()
            plain = await stage.story(await workers.undisturbed(f"{begins} {first}?"), first)
            assert plain.status == "succeeded"
            for at in points:
                one = word()
                run_id = await workers.killed(f"{begins} {one}?", at)
                assert await stage.story(run_id, one) == plain, at


async def test_a_reviewer_that_dies(stage: Stage) -> None:
    """Killed while it decides, the process of a reviewer leaves a whole decision or none."""
    worker = await stage.crew.hire()
    await worker.enter()
    for point in DECIDING:
        one = word()
        await worker.tell("start", text=f"pay {one}")
        await worker.done("start")
        run_id = await stage.run_of(f"pay {one}")
        await stage.stands(run_id, "waiting")
        [approval] = await pending(stage.database)
        reviewer = await stage.crew.hire()
        await reviewer.arm((point, 1))
        await reviewer.tell("decide", approval_id=str(approval.approval_id), choice="approve")
        assert await reviewer.died() == -signal.SIGKILL
        if point == "decided":
            assert await pending(stage.database) == []
        async with stage.reviewed():
            await stage.end(f"pay {one}")
        assert stage.remote.effects[one] == 1
        await stage.permitted(run_id)
    await stage.chained()


def test_every_node_has_its_points() -> None:
    """No node of the graph is left out."""
    points = {*BEFORE_THE_DECISION, *AFTER_THE_DECISION, *itertools.chain(*QUESTIONS.values())}
    names = {name for name, _ in points}
    for node in chat.NODES:
        assert {f"before {node}", f"after {node}"} <= names
