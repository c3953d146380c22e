"""Tracing as a port: one `Trace` per turn, and the object that stands in when it is off."""

from __future__ import annotations

from typing import Protocol

from core.turn import TurnState


class Trace(Protocol):
    """The trace of one turn. Its methods never raise and never block."""

    def node_started(self, node: str) -> None:
        """A node of the graph began."""

    def node_finished(self, node: str, update: TurnState, error: str | None = None) -> None:
        """A node ended; `update` is what it changed, `error` a code when it failed."""

    def finish(self, state: TurnState, error: str | None = None) -> None:
        """The turn ended with this state."""


class Tracer(Protocol):
    """Begins traces; lives as long as the process."""

    def turn(
        self, *, run_id: str, thread_id: str, user_id: str, tenant_id: str, text: str, attempt: int
    ) -> Trace:
        """Begin the trace of a turn."""

    async def close(self) -> None:
        """Send what is left, within a few seconds at most."""


class NullTrace:
    """A trace that goes nowhere."""

    def node_started(self, node: str) -> None:
        """Do nothing."""

    def node_finished(self, node: str, update: TurnState, error: str | None = None) -> None:
        """Do nothing."""

    def finish(self, state: TurnState, error: str | None = None) -> None:
        """Do nothing."""


class NullTracer:
    """Tracing that is off."""

    def turn(
        self, *, run_id: str, thread_id: str, user_id: str, tenant_id: str, text: str, attempt: int
    ) -> NullTrace:
        """Return the trace that goes nowhere."""
        return NullTrace()

    async def close(self) -> None:
        """Do nothing."""
