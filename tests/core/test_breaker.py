"""A breaker opens after failures in a row, and lets one attempt through after each rest."""

from __future__ import annotations

from core.breaker import Breaker


def test_a_breaker_opens_rests_and_closes() -> None:
    """Three failures open it; after the rest one attempt decides."""
    now = 0.0
    breaker = Breaker(failures=3, rest_seconds=10, clock=lambda: now)
    for failed in (True, True, False, True, True):
        assert breaker.allows()
        breaker.note(failed=failed)
    assert not breaker.is_open
    breaker.note(failed=True)
    assert breaker.is_open
    assert not breaker.allows()
    now = 10.0
    assert breaker.allows()
    assert not breaker.allows()  # one attempt at a time
    breaker.note(failed=True)
    now = 19.9
    assert not breaker.allows()
    now = 20.0
    assert breaker.allows()
    breaker.note(failed=False)
    assert breaker.allows()
    assert breaker.allows()
