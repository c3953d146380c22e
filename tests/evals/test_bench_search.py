"""The benchmark of searches, on a corpus of a thousand chunks."""

from __future__ import annotations

from evals.bench import search
from evals.bench.corpus import LABEL_EVERY, PER_DOCUMENT, make


async def test_it_runs() -> None:
    """Every stage is timed alone and together; the index of a small corpus misses nothing."""
    report = await search.run(chunks=1000, questions=10)
    assert set(report["alone"]) == set(report["8_at_once"])
    for stage in [*report["alone"].values(), *report["8_at_once"].values()]:
        assert 0 < stage["p50_ms"] <= stage["p95_ms"]
    assert report["recall"]["ours_at_10"] == 1.0
    assert report["recall"]["ours_filtered_at_10"] == 1.0
    assert report["conditions"]["vocabulary"] == "made up"


def test_corpus() -> None:
    """A corpus is the same every time; one document in a hundred carries the label."""
    one, other = (make(PER_DOCUMENT * LABEL_EVERY * 2, 12, None) for _ in range(2))
    assert (one.vectors == other.vectors).all()
    assert one.texts(3, 5) == other.texts(3, 5)
    assert len(set(one.questions)) == 12
    assert one.labelled().sum() == 2 * PER_DOCUMENT
