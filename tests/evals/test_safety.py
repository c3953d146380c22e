"""The figures of the guards, where the sets are, and without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embeddings.minilm import MiniLM
from evals import everyday, indirect, injection, scope
from safety.classifiers.gathering import LOOK_ALIKES

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


async def test_without_sets_there_are_no_figures(tmp_path: Path, embedder: MiniLM) -> None:
    """Each part is empty where its sets are not, rather than a figure of nothing."""
    for part in (injection, everyday, indirect, scope):
        assert await part.run(tmp_path, embedder) == {}


def test_recall_counts_what_is_above_the_rate() -> None:
    """The threshold is exceeded by at most the stated share of look-alikes, ties included."""
    alike = {name: np.linspace(0, 1, 25) for name in LOOK_ALIKES}
    attacks = {name: np.array([0.5, 2.0]) for name in injection.ATTACKS}
    found = injection.at_rates({**alike, **attacks})
    assert found["recall_at_5fpr"]["value"] == 0.5
    assert found["by_set_at_5fpr"]["xstest"]["value"] <= 0.05
    ties = {name: np.ones(25) for name in LOOK_ALIKES}
    assert injection.at_rates({**ties, **attacks})["by_set_at_1fpr"]["xstest"]["value"] == 0


@pytest.mark.data
async def test_a_scope_is_told_from_what_is_elsewhere(embedder: MiniLM) -> None:
    """A few sentences tell a bank's questions from others."""
    found = await scope.run(DATA, embedder)
    if not found:
        pytest.skip("../shared/data/banking77 is not here: the scope is measured on it")
    assert found["sentences"]["auroc"] > 0.95
