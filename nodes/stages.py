"""Measures each node of one turn and tells the journal and the trace about it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from langgraph.runtime import Runtime

from core.errors import ParleyError
from core.events import Emit
from core.telemetry import Trace
from core.turn import TurnState


class Stages:
    """The stages of one turn: milliseconds by node, and the state as far as it has come.

    The state is kept here as well because a turn that fails never returns one,
    and its log should still show what was found and sent.
    """

    def __init__(self, state: TurnState, emit: Emit, trace: Trace) -> None:
        self.state = state
        self.milliseconds: dict[str, float] = {}
        self.trace = trace
        self._emit = emit
        self._began: dict[str, float] = {}

    def started(self, node: str) -> None:
        """Note that `node` began."""
        self._began[node] = time.perf_counter()
        self._emit("node.started", {"node": node})
        self.trace.node_started(node)

    def finished(self, node: str, update: TurnState, error: str | None = None) -> None:
        """Note that `node` ended with `update`, or with the code of an error."""
        took = (time.perf_counter() - self._began.pop(node)) * 1000
        self.milliseconds[node] = round(self.milliseconds.get(node, 0.0) + took, 3)
        self.state.update(update)
        self._emit("node.finished", {"node": node, "ms": round(took, 3)})
        self.trace.node_finished(node, update, error)


class HasStages(Protocol):
    """Anything that carries the stages of a turn."""

    @property
    def stages(self) -> Stages:
        """The stages of the turn."""


C = TypeVar("C", bound=HasStages)


def staged(
    name: str, node: Callable[[TurnState, Runtime[C]], Awaitable[TurnState]]
) -> Callable[[TurnState, Runtime[C]], Awaitable[TurnState]]:
    """Return `node` measured under `name`."""

    async def run(state: TurnState, runtime: Runtime[C]) -> TurnState:
        stages = runtime.context.stages
        stages.started(name)
        try:
            update = await node(state, runtime)
        except BaseException as error:
            code = error.code if isinstance(error, ParleyError) else type(error).__name__
            stages.finished(name, {}, error=code)
            raise
        stages.finished(name, update)
        return update

    return run
