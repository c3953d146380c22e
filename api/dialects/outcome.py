"""How a run ended, for clients that do not want to hear how it went."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from api.errors import from_event
from core.errors import RunCancelled, StreamCut
from core.events import Event


@dataclass(slots=True)
class Outcome:
    """What the events of a run add up to."""

    message: dict[str, Any] | None = None  # the data of `message.finished`
    usage: dict[str, Any] | None = None  # the data of `usage`; None when no model was asked
    sources: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False

    def add(self, event: Event) -> None:
        """Take in one more event; raises the error of a run that failed, or RunCancelled."""
        match event.type:
            case "sources":
                self.sources = event.data["passages"]
            case "message.finished":
                self.message = event.data
            case "usage":
                self.usage = event.data
            case "run.finished":
                self.finished = True
            case "run.failed":
                raise from_event(event.data["error"])
            case "run.cancelled":
                raise RunCancelled
            case _:
                pass


async def await_outcome(events: AsyncIterator[Event]) -> Outcome:
    """Return how the run ended; raises as `Outcome.add` does, StreamCut without an end."""
    outcome = Outcome()
    async for event in events:
        outcome.add(event)
    if not outcome.finished or outcome.message is None:
        raise StreamCut
    return outcome
