"""LLM03: what comes from others: packages, models, data."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from safety.classifiers.model import MODELS, Model
from tests.project import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
# Releases that carried malicious code.
MALICIOUS = {"guardrails-ai": {"0.10.1"}, "litellm": {"1.82.7", "1.82.8"}}


@pytest.mark.parametrize("name", LOCKS)
def test_no_release_that_was_taken_over_is_installed(name: str) -> None:
    """Nor can an upgrade bring one back: the project excludes them by name."""
    lock = (ROOT / name).read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for package, versions in MALICIOUS.items():
        [installed] = re.findall(rf"^{package}==(\S+)", lock, re.MULTILINE)
        assert installed not in versions
        for version in versions:
            assert f"!={version}" in project


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.npz")), ids=lambda path: path.stem)
def test_a_model_file_runs_no_code_and_says_where_it_comes_from(path: object) -> None:
    """Arrays of numbers only, with sources and licences beside them."""
    name = str(path).rsplit("/", 1)[1].removesuffix(".npz")
    with np.load(MODELS / f"{name}.npz", allow_pickle=False) as stored:
        assert all(stored[key].dtype.kind in "fiu" for key in stored.files)
    model = Model.load(name)
    told = json.loads((MODELS / f"{name}.json").read_text(encoding="utf-8"))["lineage"]
    assert told == model.lineage
    for source, what in told["learned_from"].items():
        # Where a set has parts of several licences, the permissive one is learned from.
        assert re.search("MIT|Apache|CC BY [34]|CC0|own", what["licence"]), source
        assert what["texts"] > 0
