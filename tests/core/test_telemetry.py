from __future__ import annotations

from core.events import TERMINAL, Event
from core.telemetry import NullTracer
from core.turn import TurnState


async def test_tracing_that_is_off_does_nothing() -> None:
    """The null tracer takes every call of a turn."""
    tracer = NullTracer()
    trace = tracer.turn(run_id="", thread_id="", user_id="", tenant_id="", text="", attempt=1)
    trace.node_started("screen")
    trace.node_finished("screen", TurnState(), error="check_failed")
    trace.finish(TurnState())
    await tracer.close()


def test_one_kind_of_event_ends_a_log() -> None:
    """Exactly the three ends of a run are terminal."""
    assert {"run.finished", "run.failed", "run.cancelled"} == TERMINAL
    assert Event(1, "run.failed", {}).is_terminal
    assert not Event(1, "token", {}).is_terminal
