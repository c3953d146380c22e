"""The fits behind the extractive model do what their docstrings say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evals.abstention import choose, separate
from tgi.embedded import parameters
from tgi.embedded.features import SIGNS, SUPPORT


def test_the_row_that_is_right_gets_the_largest_share() -> None:
    """A conditional logit finds the feature that marks the right row of each group."""
    random = np.random.default_rng(1)
    groups = []
    for _ in range(60):
        rows = random.normal(size=(5, 3))
        groups.append((rows, np.arange(5) == int(np.argmax(rows[:, 1]))))
    weights = choose(groups)
    hits = [int(np.argmax(rows @ weights)) == int(np.argmax(right)) for rows, right in groups]
    assert sum(hits) >= 0.95 * len(groups)  # near ties may go either way
    assert weights[1] > 10 * max(abs(weights[0]), abs(weights[2]))


def test_evidence_never_counts_the_wrong_way() -> None:
    """Even where the data says so, no weight has a sign against features.SIGNS."""
    random = np.random.default_rng(2)
    table = random.normal(size=(400, len(SUPPORT)))
    signs = np.array([SIGNS[name] for name in SUPPORT])
    answers = (table @ -signs + random.normal(size=400)) > 0  # everything the wrong way round
    weights, _ = separate(table, answers)
    assert np.all(weights * signs >= 0)


def test_what_is_shipped_says_where_it_comes_from() -> None:
    """The parameters carry their data, its licence and what they reach, and no row of it."""
    stored = json.loads(parameters.FILE.read_text(encoding="utf-8"))
    assert all("CC BY-SA" in source for source in stored["lineage"]["data"].values())
    assert stored["report"]["squad_v11"]["false_abstention"]["value"] <= 0.05
    assert stored["report"]["squad_v11"]["abstains_on_off-topic"]["value"] >= 0.9
    assert parameters.FILE.stat().st_size < 20_000


def test_parameters_of_other_features_are_refused(tmp_path: Path) -> None:
    """A file that was fitted to other features is not read as if it fitted."""
    stored = json.loads(parameters.FILE.read_text(encoding="utf-8"))
    del stored["support"]["cosine"]
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ValueError, match=r"other features: \['cosine'\]"):
        parameters.load(file)
