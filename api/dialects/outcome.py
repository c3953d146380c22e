"""How a run ended, for clients that do not want to hear how it went."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from api.errors import from_event
from core.errors import RunCancelled, StreamCut
from core.events import Event
from db import runs

Look = Callable[[], Awaitable[runs.Run]]


@dataclass(slots=True)
class Outcome:
    """What the events of a run add up to."""

    message: dict[str, Any] | None = None  # the data of `message.finished`
    usage: dict[str, Any] | None = None  # the data of `usage`; None when no model was asked
    sources: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""  # so far
    finished: bool = False
    waiting: bool = False  # a person decides how it goes on

    def add(self, event: Event) -> None:
        """Take in one more event; raises the error of a run that failed, or RunCancelled."""
        match event.type:
            case "sources":
                self.sources = event.data["passages"]
            case "token":
                self.said += event.data["text"]
            case "message.finished":
                self.message = event.data
            case "usage":
                self.usage = event.data
            case "run.waiting":
                self.waiting = True
            case "run.resumed":
                self.waiting = False
                self.said = event.data.get("answer", "")
            case "run.finished":
                self.finished = True
            case "run.failed":
                raise from_event(event.data["error"])
            case "run.cancelled":
                raise RunCancelled
            case _:
                pass


async def until_waiting(
    events: AsyncGenerator[Event, None], look: Look
) -> AsyncGenerator[Event, None]:
    """Yield events until the run has ended, or waits for a person.

    look: returns the run as it is. The log also tells of earlier questions, long since decided.
    """
    async with aclosing(events):
        async for event in events:
            if event.type != "run.waiting":
                yield event
            elif (await look()).status == "waiting":
                yield event
                return


async def await_outcome(events: AsyncIterator[Event]) -> Outcome:
    """Return how the run ended, or that it waits; raises as `Outcome.add` does.

    Raises StreamCut for events without an end.
    """
    outcome = Outcome()
    async for event in events:
        outcome.add(event)
    if not outcome.waiting and (not outcome.finished or outcome.message is None):
        raise StreamCut
    return outcome
