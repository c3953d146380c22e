from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from core.split import in_first_half
from evals import pii

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
KEPT = next(f"Call {{phone}} {n}." for n in range(99) if not in_first_half(f"Call {{phone}} {n}."))


def row(text: str, *spans: tuple[str, str], template: str = KEPT) -> dict[str, Any]:
    """Return a row of the set; spans: (value, type)."""
    found = [(text.index(value), value, kind) for value, kind in spans]
    return {
        "text": text,
        "template": template,
        "spans": [{"start": s, "end": s + len(v), "type": kind} for s, v, kind in found],
    }


async def test_the_figures_of_a_small_set(tmp_path: Path) -> None:
    """Both ends must be right; rows without anything are counted apart; other kinds are not."""
    seen = next(f"{n}" for n in range(99) if in_first_half(str(n)))
    rows = [
        row("Call 415-555-2671 now", ("415-555-2671", "PHONE")),
        row("Call +44 161 496 0847 ext. 5", ("+44 161 496 0847", "PHONE")),  # one end is wrong
        row("Ask Maria", ("Maria", "PERSON")),
        row("Order 12345678"),
        row("mail a@example.com", ("a@example.com", "EMAIL"), template=seen),
    ]
    (tmp_path / "pii").mkdir()
    with gzip.open(tmp_path / "pii" / "texts.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(one) + "\n" for one in rows)
    report = await pii.run(tmp_path)
    assert report["micro_f1"] == 0.5
    assert report["flagged_without_pii"]["n"] == 1
    assert report["flagged_without_pii"]["value"] == 0
    assert report["by_kind"]["phone"]["recall"]["value"] == 0.5
    assert "email" not in report["by_kind"]  # its template belongs to the other half
    assert report["plain_patterns"]["flagged_without_pii"]["value"] == 1


async def test_without_data_there_is_nothing(tmp_path: Path) -> None:
    """A missing set gives an empty report, so that the others still run."""
    assert await pii.run(tmp_path) == {}


@pytest.mark.data
async def test_the_set_that_was_kept_back() -> None:
    """F1 and the share of flagged rows are what docs/guides/privacy.md says."""
    report = await pii.run(SHARED)
    if not report:
        pytest.skip("../shared/data/pii is not here: what is found is measured on it")
    assert report["micro_f1"] >= 0.97
    assert report["flagged_without_pii"]["value"] <= 0.02
    assert report["micro_f1"] > report["plain_patterns"]["micro_f1"]
