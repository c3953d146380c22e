"""Model servers killed under fifty streams."""

from __future__ import annotations

import pytest

from core.breaker import FAILURES
from evals.bench import outage

ANSWERED = {"full", "fallback", "degraded", "cached", "canned"}
SERVER_ENDS = {"model_unavailable", "model_timeout", "stream_cut"}


@pytest.mark.timeout(240)
async def test_every_turn_ends_when_model_servers_die() -> None:
    """With an answer of some level or a typed end, never a 500; and all is well again after it."""
    report = await outage.run(streams=50)
    for phase in ("quiet", "one_dies", "left_alone", "all_die", "nobody", "back"):
        turns, errors = report[phase]["turns"], report[phase]["http_500"]
        assert errors == 0, (phase, report)
        assert sum(turns.values()) == 50
        assert turns.keys() <= ANSWERED | SERVER_ENDS, (phase, turns)
    assert report["quiet"]["turns"] == {"full": 50}
    assert report["left_alone"]["turns"] == {"full": 50}
    assert set(report["nobody"]["turns"]) <= ANSWERED - {"full"}
    assert report["back"]["turns"] == {"full": 50}
    # Half-open: one probe each rest, and what had begun before the breaker opened.
    assert report["asked_while_dead"] <= 4 * FAILURES
