"""A circuit breaker: what fails again and again is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 5  # one after the other, until it opens
REST_SECONDS = 30.0


class Breaker:
    """Counts failures in a row; open, it allows one attempt after each rest.

    Source: Nygard, Release It! (2007).
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        rest_seconds: float = REST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures = failures
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._in_a_row = 0
        self._closed_until: float | None = None  # when the next attempt may be made

    @property
    def is_open(self) -> bool:
        """Return whether it was opened and no attempt has succeeded since."""
        return self._closed_until is not None

    @property
    def rests(self) -> bool:
        """Return whether it is to be left alone right now; asking changes nothing."""
        return self._closed_until is not None and self._clock() < self._closed_until

    def allows(self) -> bool:
        """Return whether to try now; the one who is allowed to is the only one for a rest."""
        if self._closed_until is None:
            return True
        now = self._clock()
        if now < self._closed_until:
            return False
        self._closed_until = now + self._rest_seconds
        return True

    def note(self, *, failed: bool) -> None:
        """Hear how an attempt ended."""
        if not failed:
            self._in_a_row, self._closed_until = 0, None
            return
        self._in_a_row += 1
        if self._in_a_row >= self._failures:
            self._closed_until = self._clock() + self._rest_seconds
