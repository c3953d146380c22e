"""Which model is asked, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SettingsInvalid
from core.settings import ModelSettings
from tgi import catalog
from tgi.catalog import Catalog, Experiment
from tgi.routing import Choice, Router, Wish, share

URL = "http://127.0.0.1:8081"
SMALL = {"endpoints": [URL], "price": {"input": 0.1, "output": 0.2}, "quality": {"answer": 0.7}}
LARGE = {"endpoints": [URL], "price": {"input": 1, "output": 2}, "quality": 0.9} | {
    "context_tokens": 32_000
}
FREE = {"endpoints": [URL], "quality": 0.5}
ALL = {"small": SMALL, "large": LARGE, "free": FREE}
ANSWER = Wish("answer", "acme", "ada", "t1", tokens=1000)


def router(*, down: set[str] = frozenset(), **said: Any) -> Router:  # type: ignore[assignment]
    return Router(Catalog.model_validate({"models": ALL} | said), lambda name: name not in down)


def names(choices: list[Choice]) -> list[str]:
    return [choice.name for choice in choices]


def bar(least: float, **more: Any) -> dict[str, Any]:
    return {"answer": {"bar": least} | more}


@pytest.mark.parametrize(
    ("least", "order"),
    [
        (0.0, ["free", "small", "large"]),
        (0.7, ["small", "large", "free"]),
        (0.8, ["large", "small", "free"]),
        (1.0, ["large", "small", "free"]),
    ],
)
def test_the_cheapest_that_reaches_the_bar_comes_first(least: float, order: list[str]) -> None:
    """Then the dearer ones that reach it, then the others, the best of them first."""
    choices = router(tasks=bar(least)).choose(ANSWER)
    assert names(choices) == order
    assert [choice.level for choice in choices] == ["full", "fallback", "fallback"]
    assert all(choice.why for choice in choices)


def test_each_task_has_its_own_bar() -> None:
    """A model that says nothing about a task is good for nothing there."""
    choices = router(tasks={"judge": {"bar": 0.6}}).choose(replace(ANSWER, task="judge"))
    assert names(choices) == ["large", "free", "small"]


def test_what_is_too_small_comes_later() -> None:
    """Something has to be cut from the prompt for it; better than no answer."""
    chosen = router()
    assert names(chosen.choose(replace(ANSWER, tokens=9000))) == ["large", "free", "small"]
    assert names(chosen.choose(replace(ANSWER, tokens=32_001))) == ["free", "small", "large"]


def test_what_is_too_dear_is_not_asked() -> None:
    """A budget that is used up leaves what costs nothing."""
    chosen = router(tasks=bar(0.8))
    assert names(chosen.choose(replace(ANSWER, left_usd=1.0))) == ["large", "small", "free"]
    assert names(chosen.choose(replace(ANSWER, left_usd=0.001))) == ["small", "free"]
    assert names(chosen.choose(replace(ANSWER, left_usd=0.0))) == ["free"]


def test_what_is_left_alone_comes_last() -> None:
    """It is asked all the same when the others fail too, or it would never come back."""
    choices = router(down={"small"}, tasks=bar(0.7)).choose(ANSWER)
    assert names(choices) == ["large", "free", "small"]
    assert [choice.level for choice in choices] == ["fallback", "fallback", "full"]
    assert choices[0].why == ("dearer", "small fails")


def test_a_tenant_may_have_its_own_rule() -> None:
    """Its list is its order, and nothing else is asked."""
    tenants = {"acme": {"tasks": {"answer": {"models": ["large", "small"]}}}}
    chosen = router(tenants=tenants)
    assert names(chosen.choose(ANSWER)) == ["large", "small"]
    assert names(chosen.choose(replace(ANSWER, tenant_id="other"))) == ["free", "small", "large"]


def test_a_better_model_is_asked_when_one_does_not_know() -> None:
    """Only one that is better, and only where the rule wants it."""
    chosen = router()
    first, *rest = chosen.choose(ANSWER)
    better = chosen.better(rest, first, "answer")
    assert better is not None
    assert (better.name, better.why) == ("small", ("escalated: free did not know",))
    large = next(choice for choice in rest if choice.name == "large")
    assert chosen.better([first], large, "answer") is None
    assert chosen.escalates(ANSWER)
    assert not router(tasks=bar(0.0, escalate=False)).escalates(ANSWER)


def test_an_experiment_keeps_to_its_weights() -> None:
    """Each user gets the same model every time; together they get it as often as it should."""
    tried = {"name": "bigger", "weights": {"small": 3, "large": 1}}
    chosen = router(experiments=[tried], tasks=bar(0.7))
    given_to = Counter(
        names(chosen.choose(replace(ANSWER, user_id=f"user-{n}", thread_id=str(n % 7))))[0]
        for n in range(4000)
    )
    assert given_to.keys() == {"small", "large"}
    assert 0.22 < given_to["large"] / 4000 < 0.28
    choice = chosen.choose(replace(ANSWER, user_id="user-1"))[0]
    assert choice.why == ("experiment bigger",)
    assert choice.level == "full"


@given(st.text(), st.text(), st.integers(0, 5), st.integers(0, 5))
def test_a_share_is_sticky(user: str, thread: str, one: int, other: int) -> None:
    """By user it does not depend on the conversation; a model of weight 0 gets nobody."""
    weights = {"a": one, "b": other, "c": 1}
    tried = Experiment(name="x", weights=weights)
    drawn = share(tried, Wish("answer", "acme", user, thread))
    assert drawn == share(tried, Wish("answer", "acme", user, "another"))
    assert weights[drawn] > 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models: {}", "models"),
        ("models: {a: {endpoints: []}}", "endpoints"),
        ("models: {a: {endpoints: ['ftp://x']}}", "http"),
        ("models: {a: {endpoints: ['http://me:secret@x']}}", "api_key_env"),
        ("models: {a: {endpoints: ['http://x'], colour: red}}", "colour"),
        ("models: {a: {endpoints: ['http://x'], quality: 2}}", "quality"),
        ("models: {a: {endpoints: ['http://x']}}\ntasks: {answer: {models: [b]}}", "no model b"),
        ("models: {a: {endpoints: ['http://x']}}\ntasks: {sing: {}}", "tasks"),
        (
            "models: {a: {endpoints: ['http://x']}}\nexperiments: [{name: e, weights: {a: 0}}]",
            "above 0",
        ),
        (
            "models: {a: {endpoints: ['http://x']}}\n"
            "budgets: [{usd: 1, per: day, scope: user}, {usd: 2, per: day, scope: user}]",
            "only one budget",
        ),
        (": :", "neither YAML nor JSON"),
    ],
)
def test_what_a_file_gets_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    """The error names the variable, the file and the place, and no key."""
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid) as caught:
        catalog.load(ModelSettings(_env_file=None, file=path), "")
    assert "MODEL_FILE" in caught.value.message
    assert told in caught.value.message
    assert "secret" not in caught.value.message


def test_without_a_file_there_is_one_model() -> None:
    """It is what the settings describe."""
    settings = ModelSettings(_env_file=None, profile="vllm", name="mine", context_tokens=4096)
    only = catalog.load(settings, URL).models["default"]
    assert (only.profile, only.name, only.context_tokens) == ("vllm", "mine", 4096)
    assert only.price.free
    with pytest.raises(SettingsInvalid, match="MODEL_URL"):
        catalog.load(settings, "localhost:8080")
