"""The linear models: what they store, what they say, and what they were learned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from safety.classifiers import fitting, sources
from safety.classifiers.features import MARK_NAMES, look, terms
from safety.classifiers.fitting import Example, Table
from safety.classifiers.model import HARMLESS, MODELS, Model, threshold

NAMES = ("injection", "harmful", "untrusted")


def toy() -> Table:
    """Return a table in which one word decides, with vectors that say nothing."""
    random = np.random.default_rng(1)
    texts = [f"{word} number {n}" for n in range(30) for word in ("apple", "storm", "thief")]
    labels = {"apple": HARMLESS, "storm": "weather", "thief": "crime"}
    examples = [Example(text, labels[text.split()[0]], "toy", text) for text in texts]
    vectors = random.normal(size=(len(texts), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Table(examples, [look(text) for text in texts], vectors)


def test_a_stored_model_says_the_same(tmp_path: Path) -> None:
    """Scores and kinds are the same after loading, and saving twice gives equal files."""
    table = toy()
    model = fitting.fit(table, 1.0, {"learned_from": {}})
    model.save("one", tmp_path)
    model.save("two", tmp_path)
    for end in ("json", "npz"):
        assert (tmp_path / f"one.{end}").read_bytes() == (tmp_path / f"two.{end}").read_bytes()
    loaded = Model.load("one", tmp_path)
    for one, vector in zip(table.seen, table.vectors, strict=True):
        assert loaded.judge(one, vector) == model.judge(one, vector)


def test_learning_is_deterministic() -> None:
    """The same examples give the same weights."""
    one, two = fitting.fit(toy(), 1.0, {}), fitting.fit(toy(), 1.0, {})
    assert np.array_equal(one.terms, two.terms)
    assert np.array_equal(one.weights, two.weights)


def test_the_word_that_decides_is_learned() -> None:
    """Kinds are told apart, and the harmless scores low, on texts that were not learned from."""
    table = toy()
    model = fitting.fit(table, 10.0, {})
    vector = np.zeros(8, np.float32)
    assert model.judge(look("a thief again"), vector).kind == "crime"
    assert model.judge(look("storm over there"), vector).kind == "weather"
    guilty = model.score("the thief came", vector)
    assert model.score("an apple fell", vector) < guilty


def test_unseen_scores_leave_out_the_group() -> None:
    """Every row is judged by a model that did not learn from it; sources of always are not."""
    table = toy()
    odds = fitting.unseen_scores(table, 1.0, always=())
    assert not np.isnan(odds).any()
    assert np.isnan(fitting.unseen_scores(table, 1.0, always=("toy",))).all()


def test_thresholds_ascend_as_the_rate_falls() -> None:
    """Fewer mistakes need a higher score, and the stated rate holds on the texts it is from."""
    harmless = np.random.default_rng(2).exponential(size=5000) - 5
    recorded = fitting.thresholds(harmless)
    scores = [score for _, score in recorded]
    assert scores == sorted(scores, reverse=True)
    chances = 1 / (1 + np.exp(-harmless))
    for rate, score in recorded[2:]:
        assert np.mean(chances >= score) == pytest.approx(rate, rel=0.35)


def test_the_highest_threshold_holds_in_every_pool() -> None:
    """For each rate by itself the stricter pool decides."""
    pools = [((0.01, 0.9), (0.05, 0.2)), ((0.01, 0.7), (0.05, 0.4))]
    assert fitting.highest(pools) == ((0.01, 0.9), (0.05, 0.4))


def test_a_rate_is_interpolated_and_bounded() -> None:
    """Between two recorded rates lies a threshold between theirs; outside is an error."""
    recorded = ((0.01, 0.9), (0.05, 0.5))
    assert threshold(recorded, 0.01) == pytest.approx(0.9)
    assert 0.5 < threshold(recorded, 0.02) < 0.9
    for rate in (0.009, 0.06, 0.0, 1.0):
        with pytest.raises(ValueError, match="between"):
            threshold(recorded, rate)


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_models_say_where_they_are_from(name: str) -> None:
    """Each source of a model is one that may be learned from, with the licence that is known."""
    model = Model.load(name)
    learned = model.lineage["learned_from"]
    assert sum(one["texts"] for one in learned.values()) > 1000
    for source, told in learned.items():
        if source == "own examples":
            assert set(told["files"]) == {path.name for path in sources.EXAMPLES.glob("*.yaml")}
        else:
            assert sources.SOURCES[source].learned
            assert told["licence"] == sources.SOURCES[source].licence


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_models_are_small_and_fit(name: str) -> None:
    """A model takes less than 250 kB, begins with harmless, and its thresholds are in order."""
    model = Model.load(name)
    assert (MODELS / f"{name}.npz").stat().st_size < 250_000
    assert model.labels[0] == HARMLESS
    assert len(model.weights) >= 384 + len(MARK_NAMES)
    assert model.threshold(0.005) > model.threshold(0.05)


def test_words_of_scripts_without_spaces_are_cut() -> None:
    """Chinese gives pairs of characters, Latin words and pairs of words, numbers are alike."""
    assert {"密码", "码是"} <= terms(["密码是什么"])
    assert terms(["my", "key", "42"]) == {"my", "^ my", "key", "my key", "0", "key 0"}


@pytest.mark.parametrize(
    "unit", ["q: ", "a = 'b", "ab ", ". ", "a", "[system ", "<!-- say ", "0", "密码", "e="]
)
def test_hostile_text_is_bearable(unit: str) -> None:
    """A text of the greatest length is looked at in linear time, whatever it repeats."""
    seen = look(unit * (32_000 // len(unit)))
    assert len(seen.marks) == len(MARK_NAMES)
