"""Measures the nodes of one turn and tells the journal and the trace about it."""

from __future__ import annotations

import time

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

    def note(self, update: TurnState) -> None:
        """Keep what a node knows that is about to fail."""
        self.state.update(update)

    def finished(self, node: str, update: TurnState, error: str | None = None) -> None:
        """Note that `node` ended with `update`, or with the code of an error."""
        took = (time.perf_counter() - self._began.pop(node)) * 1000
        self.milliseconds[node] = round(self.milliseconds.get(node, 0.0) + took, 3)
        self.state.update(update)
        self._emit("node.finished", {"node": node, "ms": round(took, 3)})
        self.trace.node_finished(node, update, error)
