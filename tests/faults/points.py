"""The moments at which a worker of these tests may die or be stopped.

They are put around the product from outside, in the worker's process alone: the product has no
hooks for them.
"""

from __future__ import annotations

import functools
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, ParamSpec, TypeVar

from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from psycopg.rows import TupleRow

from core.turn import TurnState
from db import runs
from graphs import chat, turn
from graphs.record import Outcome
from nodes import act
from nodes.context import Context
from nodes.staged import Node
from tools import approvals, executor, ledger

P = ParamSpec("P")
T = TypeVar("T")
Fate = Literal["kill", "stop"]
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

Point = tuple[str, int]  # its name, and the how manieth time it is reached

# In the order in which a turn with one call that is approved reaches them.
BEFORE_THE_DECISION: tuple[Point, ...] = (
    *(
        (f"{side} {name}", 1)
        for name in ("screen", "recall", "classify")
        for side in ("before", "after")
    ),
    ("before generate", 1),
    ("after generate", 1),
    ("before propose", 1),
    ("before the flush", 1),
    ("after the flush", 1),
    ("proposed, not committed", 1),
    ("asked, not committed", 1),
    ("after propose", 1),
    ("before approve", 1),
    ("approve waits", 1),
    ("before the pause", 1),
    ("pausing, not committed", 1),
    ("paused", 1),
)
AFTER_THE_DECISION: tuple[Point, ...] = (
    ("claimed", 1),
    ("before approve", 2),
    ("after approve", 1),
    ("before act", 1),
    ("after act", 1),
    ("before generate", 2),
    ("after generate", 2),
    *((f"{side} {name}", 1) for name in ("verify", "remember") for side in ("before", "after")),
    ("before the end", 1),
    ("ending, not committed", 1),
    ("ended", 1),
)
WITHIN: tuple[Point, ...] = (
    ("before the effect", 1),
    ("after the effect", 1),
    ("called", 1),
    ("noted, not committed", 1),
    ("settled", 1),
)
SENT: tuple[Point, ...] = (("started, not committed", 1), ("started", 1), *WITHIN)
# Where nobody can know afterwards whether the effect has happened.
UNCERTAIN = {
    "started": 0,
    "before the effect": 0,
    "after the effect": 1,
    "called": 1,
    "noted, not committed": 1,
}
DECIDING = ("deciding, not committed", "decided")

_reached: Counter[str] = Counter()
_armed: dict[Point, Fate] = {}


def arm(name: str, nth: int = 1, fate: Fate = "kill") -> None:
    """Let this process meet its fate when it is at this point for the nth time from now."""
    _armed[name, _reached[name] + nth] = fate


def reach(name: str) -> None:
    """Be at a point."""
    _reached[name] += 1
    if (fate := _armed.get((name, _reached[name]))) is not None:
        os.kill(os.getpid(), SIGNALS[fate])


def install() -> None:
    """Put the points around the product, in this process."""
    for name, node in chat.NODES.items():
        chat.NODES[name] = _around(name, node)
    _after(ledger, "propose", "proposed, not committed")
    _after(approvals, "request", "asked, not committed")
    _after(approvals, "end", "deciding, not committed")
    _after(ledger, "get", "row read")
    _after(ledger, "start", "started, not committed")
    _after(runs, "claim_queued", "claimed", only=bool)
    _after(runs, "take_over", "taken over", only=bool)
    act.Executor = _Executor  # type: ignore[attr-defined]
    _turns()


class _Executor(executor.Executor):
    async def _within(self, *args: Any) -> ledger.Call:
        settled = await super()._within(*args)
        reach("settled")
        return settled

    async def _started(self, *args: Any) -> int | None:
        attempt = await super()._started(*args)
        reach("started")
        return attempt

    async def _call(self, *args: Any) -> Any:
        outcome = await super()._call(*args)
        reach("called")
        return outcome

    async def _note(self, *args: Any, **named: Any) -> ledger.Call:
        noted = await super()._note(*args, **named)
        reach("noted, not committed")
        return noted

    async def _settle(self, *args: Any, **named: Any) -> ledger.Call:
        settled = await super()._settle(*args, **named)
        reach("settled")
        return settled


def _turns() -> None:
    end, context = turn.Turn._end, turn.Turn._context

    async def ends(self: turn.Turn, outcome: Outcome) -> bool:
        waits = outcome.approval_id is not None
        reach("before the pause" if waits else "before the end")
        ended = await end(self, outcome)
        reach("paused" if waits else "ended")
        return ended

    def lends(self: turn.Turn) -> Context:
        lent = context(self)
        return replace(lent, flush=_between("the flush", lent.flush))

    turn.Turn._end = ends  # type: ignore[method-assign]
    turn.Turn._context = lends  # type: ignore[method-assign]
    _after(runs, "pause", "pausing, not committed")
    finished = runs.finished

    def ending(rows: Sequence[TupleRow]) -> None:
        finished(rows)
        reach("ending, not committed")

    runs.finished = ending


def _around(name: str, node: Node) -> Node:
    async def run(state: TurnState, runtime: Runtime[Context]) -> TurnState:
        reach(f"before {name}")
        try:
            update = await node(state, runtime)
        except GraphBubbleUp:
            reach(f"{name} waits")
            raise
        reach(f"after {name}")
        return update

    return run


def _between(name: str, function: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        reach(f"before {name}")
        await function()
        reach(f"after {name}")

    return run


def _after(
    module: Any, name: str, point: str, only: Callable[[Any], bool] = lambda _: True
) -> None:
    """Reach a point whenever a function of a module has returned something."""
    function = getattr(module, name)

    @functools.wraps(function)
    async def run(*args: Any, **named: Any) -> Any:
        found = await function(*args, **named)
        if only(found):
            reach(point)
        return found

    setattr(module, name, run)
