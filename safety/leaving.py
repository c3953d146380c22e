"""One answer on its way out: the stream gate, with what holds for every check around it."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.errors import CheckFailed
from core.metrics import Metrics
from safety.gate import StreamGate
from safety.verdict import Finding, gathered

DEADLINE_SECONDS = 5.0  # for one chunk
NAME = "gate"  # under which its time is measured


class Leaving:
    """Feed it an answer; it gives what may leave, and refuses when it cannot tell."""

    def __init__(self, gate: StreamGate, metrics: Metrics) -> None:
        self._gate = gate
        self._metrics = metrics
        self._seconds = 0.0  # of all chunks so far

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found so far."""
        return gathered(self._gate.findings)

    @property
    def blocked(self) -> str | None:
        """Return which check has stopped the answer; None when none has."""
        return self._gate.blocked.check if self._gate.blocked is not None else None

    def feed(self, chunk: str) -> str:
        """Take a chunk; return what may leave now. Raises CheckFailed."""
        left = self._timed(lambda: self._gate.feed(chunk))
        if self.blocked is not None:
            self._measured()
        return left

    def finish(self) -> str:
        """Return the rest, when nothing more comes. Raises CheckFailed."""
        last = self._timed(self._gate.finish)
        self._measured()
        return last

    def _measured(self) -> None:
        self._metrics.check_seconds.labels("output", NAME).observe(self._seconds)

    def _timed(self, work: Callable[[], str]) -> str:
        began = time.perf_counter()
        try:
            left = work()
        except Exception as error:
            raise CheckFailed("The checks of the answer failed.") from error
        took = time.perf_counter() - began
        self._seconds += took
        if took > DEADLINE_SECONDS:
            raise CheckFailed("The checks of the answer were not done in time.")
        return left
