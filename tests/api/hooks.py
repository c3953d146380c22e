"""A stand-in for an operator's server: takes notices over HTTP and answers as it is told."""

from __future__ import annotations

import json
import queue
from dataclasses import dataclass
from typing import Any

from tests.listener import Answer, Listener, Request


@dataclass(frozen=True)
class Told:
    """A notice as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Hook(Listener):
    """The server. Answers with each status once, then 204; None: not at all."""

    def __init__(self, *statuses: int | None) -> None:
        super().__init__()
        self.told: queue.Queue[Told] = queue.Queue()
        self._statuses = list(statuses)

    @property
    def url(self) -> str:
        """Where notices go."""
        return f"{super().url}/hook"

    def all(self) -> list[Told]:
        """Return what has arrived so far."""
        return list(self.told.queue)

    def take(self, request: Request) -> Answer | None:
        """Keep a notice and return the next status."""
        status = self._statuses.pop(0) if self._statuses else 204
        self.told.put(Told(request.headers, request.body))
        if status is None:
            self.released.wait()
            return None
        words = b"secret words of the receiver" if status != 204 else b""
        return Answer(status, words, {"Location": self.url})
