"""The measurement of questions: its cases are sound, and its figures are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from evals.intent import Texts, centroid, drawn, figures, measured, neighbour, ours, regression
from evals.questions import FOLLOWUPS, MULTIHOP, misspelled
from evals.spread import mean_share, share


def corpus(path: Path) -> tuple[dict[str, Any], list[str]]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found, [row["id"] for row in found["corpus"]]


def test_the_cases_name_passages_that_exist() -> None:
    """A slip in an id would count as a miss for ever."""
    talks, first = corpus(FOLLOWUPS)
    hops, second = corpus(MULTIHOP)
    ids = {*first, *second}
    assert len(ids) == len(first) + len(second)
    assert len(talks["cases"]) >= 60
    for case in talks["cases"]:
        assert {case["doc"], *case.get("also", ())} <= set(first)
        assert len(case["history"]) % 2 == 0
    for case in hops["cases"]:
        assert case["needs"]
        assert set(case["needs"]) <= ids


def test_a_slip_is_made_in_the_longest_word_and_always_the_same() -> None:
    """The set is the same in every run."""
    wrong = misspelled("Who designed the Calder Bridge?")
    assert wrong == misspelled("Who designed the Calder Bridge?")
    kept = [word for word in wrong.split() if word in {"Who", "the", "Calder", "Bridge?"}]
    assert len(kept) == 4
    assert "designed" not in wrong
    assert misspelled("Who is it?") == "Who is it?"


def test_repetitions_do_not_narrow_the_interval() -> None:
    """Five runs over the same hundred cases are a hundred cases."""
    runs = [[n < hits for n in range(100)] for hits in (90, 92, 94)]
    mean = mean_share(runs)
    assert mean["value"] == pytest.approx(0.92)
    assert (mean["low"], mean["high"], mean["n"]) == tuple(
        share(runs[1])[key] for key in ("low", "high", "n")
    )
    assert mean_share([[]])["n"] == 0


def test_examples_are_drawn_from_the_training_texts() -> None:
    """The marked ones first, others for other draws, the name of each intent at the end."""
    rows = [
        {"id": f"{intent}{n}", "text": f"{intent} {n}", "intent": intent, "split": split}
        | ({"few_shot_10": True} if n < 10 and split == "train" else {})
        for intent in ("pay_bill", "book_hotel")
        for split, n in [*(("train", n) for n in range(40)), ("val", 99)]
    ]
    marked = drawn(rows, 0)
    assert len(marked) == 22
    assert all(row["few_shot_10"] for row in marked[:20])
    assert [row["text"] for row in marked[20:]] == ["pay bill", "book hotel"]
    other = drawn(rows, 1)
    assert other == drawn(rows, 1)
    assert other != drawn(rows, 2)
    assert all(row["split"] == "train" for row in other[:20])


def test_every_method_tells_clear_cases_apart() -> None:
    """On far clusters each is right, keeps its own and catches what is elsewhere."""
    rng = np.random.default_rng(0)
    centres = np.eye(3, 384)

    def some(which: list[int]) -> Texts:
        vectors = centres[which] + 0.01 * rng.normal(size=(len(which), 384))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Texts(["text"] * len(which), [f"label {n}" for n in which], vectors.astype("f"))

    inside = [0, 1] * 20
    asked = {"fitted": some(inside), "inside": some(inside), "foreign": some([2] * 10)}
    for method in (ours, regression, centroid, neighbour):
        found = figures([measured(method, some(inside), asked)])
        assert found["in_scope_accuracy"]["value"] == 1
        assert found["oos_recall_at_95"]["value"] == 1
        assert found["oos_auroc"] == 1
