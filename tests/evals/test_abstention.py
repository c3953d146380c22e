"""The fits behind the extractive model do what their docstrings say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evals.fitting import choose, exported, grown
from tgi.embedded import parameters
from tgi.embedded.support import SIGNS, SUPPORT
from tgi.embedded.trees import Trees


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
    """Even where the data says so, more evidence never lowers a margin."""
    random = np.random.default_rng(2)
    signs = np.array(list(SIGNS.values()))
    table = random.normal(size=(600, len(SUPPORT)))
    answers = table @ -signs + random.normal(size=600) > 0  # everything the wrong way round
    trees = Trees.of(exported(grown(table, answers, np.ones(600))))
    rows = random.normal(size=(40, len(SUPPORT)))
    for place, sign in enumerate(signs):
        more = rows.copy()
        more[:, place] += 2
        assert np.all(sign * (trees(more) - trees(rows)) >= 0 if sign else True)


def test_trees_are_read_as_they_were_grown() -> None:
    """What is stored gives the margins of the library that grew it."""
    random = np.random.default_rng(3)
    table = random.normal(size=(600, len(SUPPORT)))
    grew = grown(table, table[:, 0] + table[:, 5] * table[:, 7] > 0, np.ones(600))
    rows = random.normal(size=(50, len(SUPPORT)))
    assert np.allclose(Trees.of(exported(grew))(rows), grew.decision_function(rows))


def test_what_is_shipped_says_where_it_comes_from() -> None:
    """The parameters carry their data, its licence and what they reach, and no row of it."""
    stored = json.loads(parameters.FILE.read_text(encoding="utf-8"))
    assert all("CC BY-SA" in source for source in stored["lineage"]["data"].values())
    assert stored["report"]["squad_v11"]["false_abstention"]["value"] <= 0.05
    assert stored["report"]["squad_v11"]["abstains_on_off-topic"]["value"] >= 0.9
    assert parameters.FILE.stat().st_size < 20_000
    assert parameters.FILE.with_suffix(".npz").stat().st_size < 100_000


def test_parameters_of_other_features_are_refused(tmp_path: Path) -> None:
    """A file that was fitted to other features is not read as if it fitted."""
    stored = json.loads(parameters.FILE.read_text(encoding="utf-8"))
    stored["support"].remove("cosine")
    file = tmp_path / "parameters.json"
    file.write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ValueError, match=r"other features: \['cosine'\]"):
        parameters.load(file)
