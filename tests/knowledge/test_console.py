"""What an ingestion did is said to people in a line and to machines in JSON."""

from __future__ import annotations

from knowledge.console import describe, sentence
from knowledge.summary import Summary


def test_a_loss_is_said_to_people_and_to_machines() -> None:
    """Each document that is not as it was read has its line."""
    summary = Summary(added=1, chunks=2, embedded=1, differences=["file:///a: 1 of 2 chunks"])
    assert sentence(summary).splitlines()[1:] == ["lost: file:///a: 1 of 2 chunks"]
    said = describe(summary)
    assert (said["checked"], said["embedded"]) == ("differences", 1)
    assert said["differences"] == summary.differences


def test_a_whole_ingestion_is_one_line() -> None:
    """Nothing is said about losses where there are none."""
    assert len(sentence(Summary(added=1)).splitlines()) == 1
    assert describe(Summary(added=1))["checked"] == "ok"
