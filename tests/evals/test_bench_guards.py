"""The benchmark of the guards, on a few answers."""

from __future__ import annotations

from random import Random

from evals.bench import guards


def test_it_measures_the_gate_with_every_detector() -> None:
    """Each detector is measured alone as well, and little is held."""
    text = "Warsaw is the capital of Poland, and has been since 1596. Ask me more about it."
    report = guards.measure([text] * 8, seed=1)
    assert report["gate"]["mean_us"] > 0
    assert report["gate"]["held_characters"]["p50"] < 20
    assert {one.name for one in guards.every()} < report["gate_with_one_us"].keys()
    assert report["conditions"]["answers"] == 8


def test_chunks_are_the_text() -> None:
    """None is lost, and all are as long as tokens are."""
    parts = guards.chunked("abcdefghij" * 10, Random(1))
    assert "".join(parts) == "abcdefghij" * 10
    assert all(len(part) <= 7 for part in parts)
