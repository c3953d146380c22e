"""The calculation for large corpora: by hand, in proportion, and from measured rates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.errors import SettingsInvalid
from knowledge.__main__ import app
from knowledge.engines.plan import GIB, Corpus, Rates, plan
from tests.project import ROOT


def test_by_hand() -> None:
    """36 000 chunks at 10 a core second are one core hour; as much again is spent outside."""
    rates = replace(Rates(), tokens_per_core_second=1000, share_outside_model=0.5)
    corpus = Corpus(36_000, chunks_per_document=1, tokens_per_chunk=100)
    found = plan(corpus, rates, cores=(1, 2))
    assert found.embedding_core_hours == 1
    assert found.other_core_hours == 1
    assert found.hours_by_cores == {1: 2, 2: 1}


def test_twice_as_much_takes_twice_as_long_and_as_large() -> None:
    """Hours of embedding and gibibytes are proportional to chunks."""
    one, two = (plan(Corpus(n * 1_000_000), Rates()) for n in (1, 2))
    assert two.embedding_core_hours == pytest.approx(2 * one.embedding_core_hours)
    assert two.disk_gib == pytest.approx({k: 2 * v for k, v in one.disk_gib.items()})
    assert two.index_core_hours > 2 * one.index_core_hours


def test_a_slow_index_decides() -> None:
    """Many workers do not help when Postgres cannot take in what they make."""
    rates = replace(Rates(), index_chunks_per_core_second=1)
    found = plan(Corpus(1_000_000), rates, cores=(4, 1000))
    assert found.hours_by_cores[4] == pytest.approx(found.index_core_hours)
    assert found.hours_by_cores[1000] == pytest.approx(found.index_core_hours / 250)


def test_memory_decides_whether_one_postgres_is_enough() -> None:
    """The vector index and the keywords have to fit into the memory of one machine."""
    rates = replace(Rates(), vector_index_bytes=GIB / 1000, keyword_bytes=0)
    corpus = Corpus(40_000, chunks_per_document=1, machine_gib=64, usable_share=0.5)
    assert plan(corpus, rates).postgres_memory_gib == pytest.approx(40)
    assert not plan(corpus, rates).postgres_fits
    assert plan(replace(corpus, machine_gib=128), rates).postgres_fits


def test_rates_come_from_a_report(tmp_path: Path) -> None:
    """The report of the ingestion benchmark gives the speed of a core and the share beside it."""
    path = tmp_path / "ingest.json"
    figures = {"model_alone.chunks_per_second": 80.0, "first.share_outside_model": -0.02}
    path.write_text(json.dumps(figures))
    rates = Rates.measured(path, cores=4, tokens_per_chunk=200)
    assert rates == replace(Rates(), tokens_per_core_second=4000.0, share_outside_model=0.0)
    for wrong in ("{}", "[", '{"model_alone.chunks_per_second": 0}'):
        path.write_text(wrong)
        with pytest.raises(SettingsInvalid, match="report"):
            Rates.measured(path, cores=4, tokens_per_chunk=200)


def test_the_guide_shows_what_the_command_says() -> None:
    """The numbers in docs/guides/scale.md are those of `python -m knowledge plan`."""
    result = CliRunner().invoke(app, ["plan"], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    guide = (ROOT / "docs/guides/scale.md").read_text(encoding="utf-8")
    shown = guide.partition("$ python -m knowledge plan\n")[2].partition("```")[0]
    assert lines(shown) == lines(result.output)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "x", "--workers", "2"],
        ["ingest", "x", "--address", "a:1"],
        ["ingest", "x", "--queue", "--engine", "ray"],
        ["sync"],
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    """What belongs to another option, and an engine that there is not, end with a sentence."""
    result = CliRunner().invoke(app, arguments, env={"KNOWLEDGE_QDRANT_URL": ""})
    assert result.exit_code == 1
    assert "engine" in str(result.exception or result.output)


def lines(text: str) -> list[list[str]]:
    """Return words of lines: how wide a table is does not matter."""
    return [line.split() for line in text.splitlines() if line.strip()]
