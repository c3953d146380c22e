"""Notebooks: prose under its headings, code as code, results with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import DocumentUnreadable
from knowledge.load.notebook import MAX_OUTPUT_CHARACTERS, load


def test_cells_are_read_in_order() -> None:
    """A heading in the prose is a section; a comment in the code is none."""
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "\n", "## Data\n", "We load it."]},
        {
            "cell_type": "code",
            "source": "# read\nx = 1",
            "outputs": [{"data": {"text/plain": ["1"]}}, {"text": "printed\n"}],
        },
    ]
    document = load(Path("a.ipynb"), json.dumps({"cells": cells}).encode())
    (part,) = document.parts
    assert (document.title, part.section) == ("Study", "Data")
    assert part.text == (
        "We load it.\n\n~~~~\n# read\nx = 1\n~~~~\n\n~~~~\n1\n~~~~\n\n~~~~\nprinted\n~~~~"
    )


def test_long_results_are_cut() -> None:
    """A log of a cell does not bury what it is about."""
    cell = {"cell_type": "code", "source": "run()", "outputs": [{"text": "x" * 100_000}]}
    document = load(Path("a.ipynb"), json.dumps({"cells": [cell]}).encode())
    assert len(document.text) < MAX_OUTPUT_CHARACTERS + 100


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"cells": 1}'])
def test_other_json_is_no_notebook(data: bytes) -> None:
    """It is refused with a sentence."""
    with pytest.raises(DocumentUnreadable, match="notebook"):
        load(Path("a.ipynb"), data)
