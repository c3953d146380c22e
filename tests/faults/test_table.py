"""The table of faults names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ROWS = re.findall(r"^\| (\d+) \|[^|]*\| (.*) \|$", (HERE / "README.md").read_text(), re.M)


def test_every_row_is_in_the_table() -> None:
    """From 1 to 31, each once."""
    assert [int(number) for number, _ in ROWS] == list(range(1, 32))


@pytest.mark.parametrize(("number", "proof"), ROWS, ids=[number for number, _ in ROWS])
def test_what_a_row_names_is_there(number: str, proof: str) -> None:
    """Files exist, and a test that is named after the row stands in one of them."""
    files = [
        path if "/" in name else HERE / name
        for name in re.findall(r"`([\w/]+\.py)`", proof)
        for path in [ROOT / name]
    ]
    assert all(path.is_file() for path in files), proof
    for name in re.findall(r"`(test_\w+)`", proof):
        if name.startswith("test_row_"):
            assert name == f"test_row_{number}"
        assert any(f"def {name}" in path.read_text() for path in files), name
