"""What models cost, and which budgets hold for whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from core.price import Budget, Price, applying, cost_of, cost_usd, usage_of
from core.turn import ModelCall, Usage


def usage(prompt: int, completion: int) -> Usage:
    return Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )


def call(counted: Usage | None, cost: float = 0.0) -> ModelCall:
    return ModelCall(
        task="answer", model="m", why=[], tried=[], usage=counted, cost_usd=cost, ms=1.0, error=""
    )


def test_tokens_cost_their_price() -> None:
    """By the million, input and output apart; what was not counted costs nothing."""
    price = Price(0.5, 1.5)
    assert cost_usd(usage(1_000_000, 1_000_000), price) == 2.0
    assert cost_usd(usage(640, 12), price) == 0.000338
    assert cost_usd(usage(640, 12), Price()) == 0.0
    assert cost_usd(None, price) == 0.0


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 8_000)), max_size=20))
def test_a_turn_costs_what_its_calls_cost(counts: list[tuple[int, int]]) -> None:
    """The sum is exact to the last place that is kept."""
    price = Price(0.15, 0.6)
    calls = [call(usage(*count), cost_usd(usage(*count), price)) for count in counts]
    expected = sum(
        Decimal(prompt) * Decimal("0.15") + Decimal(completion) * Decimal("0.6")
        for prompt, completion in counts
    )
    assert cost_of(calls) == float(expected / 1_000_000)


def test_the_tokens_of_a_turn_are_those_of_its_calls() -> None:
    """What no server counted adds nothing; where none did, nothing is known."""
    assert usage_of([call(usage(1, 2)), call(None), call(usage(3, 4))]) == usage(4, 6)
    assert usage_of([call(None)]) is None
    assert usage_of([]) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Price, {"input": -1}),
        (Price, {"input": "nan"}),
        (Price, {"inputs": 1}),
        (Budget, {"usd": 0, "per": "day", "scope": "tenant"}),
        (Budget, {"usd": "inf", "per": "day", "scope": "tenant"}),
        (Budget, {"usd": 1, "per": "year", "scope": "tenant"}),
        (Budget, {"usd": 1, "per": "day", "scope": "team"}),
        (Budget, {"usd": 1, "per": "day", "scope": "user", "percent": 10}),
    ],
)
def test_a_file_cannot_say_nonsense(kind: type[Any], value: dict[str, Any]) -> None:
    """Negative prices, empty budgets and unknown words are refused."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_a_file_says_budgets_and_prices() -> None:
    """As YAML gives them; money stays exact."""
    assert TypeAdapter(Price).validate_python({"input": 0.15, "output": 1}) == Price(0.15, 1.0)
    read = Budget.model_validate({"usd": 0.1, "per": "day", "scope": "user"})
    assert read.usd == Decimal("0.1")


def test_a_tenants_own_budget_stands_in_for_that_of_all() -> None:
    """Of the same scope and period alone, whichever stands first; all have the same order."""
    for_all = Budget(usd=Decimal(1), per="day", scope="user")
    own = Budget(usd=Decimal(9), per="day", scope="user", tenant="acme")
    month = Budget(usd=Decimal(5), per="month", scope="tenant")
    for given_order in ([for_all, own, month], [month, own, for_all]):
        assert applying(given_order, "acme") == [month, own]
        assert applying(given_order, "else") == [month, for_all]
    assert applying([own], "else") == []
