"""The benchmark of the chat model, on a few answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from evals.bench import model
from evals.bench.model import PACES, Taken


async def test_it_runs() -> None:
    """Everyone reads the whole answer at each pace; the shares are taken beside raw."""
    report = await model.run(rounds=2)
    for pace in PACES:
        assert {"raw", "parsed", "ours"} <= report[pace].keys()
        for name, figures in report[pace].items():
            assert figures["cpu_ms"] > 0
            assert figures["first_token_ms"] > 0
            assert ("cpu_over_raw" in figures) == (name != "raw")
    assert report["conditions"]["tokens"] == 64


def test_rounds_are_compared_with_rounds() -> None:
    """A round on a busy machine is slow for all; the ratio stays."""
    report = model.compare(
        {
            "raw": [Taken(cpu=1.0, first=2.0), Taken(cpu=10.0, first=20.0)],
            "ours": [Taken(cpu=1.5, first=2.5), Taken(cpu=15.0, first=20.5)],
        }
    )
    assert report["ours"]["cpu_over_raw"]["value"] == 1.5
    assert report["ours"]["first_token_added_ms"]["value"] == 0.5
    assert report["raw"] == {"cpu_ms": 5.5, "first_token_ms": 11.0}


def test_a_median_comes_with_the_interval_of_its_rank() -> None:
    """Of a hundred values the 40th and the 60th or so bound it; of one value it is the value."""
    many = model.median([float(n) for n in range(100)])
    assert many == {"value": 49.5, "low": 40.0, "high": 60.0, "n": 100}
    assert model.median([3.0]) == {"value": 3.0, "low": 3.0, "high": 3.0, "n": 1}


async def test_a_short_answer_is_an_error() -> None:
    """Who did not read everything is not measured."""

    async def brief() -> AsyncIterator[str]:
        yield "word"

    with pytest.raises(RuntimeError, match="Only 4 of"):
        await model.ask(brief)
