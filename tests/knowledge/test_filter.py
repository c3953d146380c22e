"""How little a filter has to leave before all of it is looked at."""

from __future__ import annotations

import pytest

from knowledge.filter import Few


@pytest.mark.parametrize("chunks", [0, 10_000, 100_000, 1_000_000, 10_000_000])
def test_one_percent_is_looked_at_whole(chunks: int) -> None:
    """There an index finds three of four; from a twentieth on it finds nearly all, for less."""
    few = Few.of(chunks, 100)
    assert few.chunks >= min(chunks, 5_000)
    if chunks <= 1_000_000:
        assert few.chunks >= chunks // 100
    if chunks >= 1_000_000:
        assert few.chunks <= chunks // 20


def test_no_more_documents_are_counted_than_can_matter() -> None:
    """Each search with a filter pays for that."""
    assert Few.of(100_000, 100).documents == 2_000
    assert Few.of(10_000_000, 100).documents < 20_000
