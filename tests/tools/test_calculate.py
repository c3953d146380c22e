"""Arithmetic is exact, bounded, and knows nothing but numbers."""

from __future__ import annotations

import ast
import operator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import calculate as calculator
from tools.calculate import calculate
from tools.registry import Registry
from tools.tool import Caller, TryDifferently

ANN = Caller("default", "ann")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 + 0.2", "0.3"),
        ("2 + 3 * (4 - 1)", "11"),
        ("-2 ** 2", "-4"),
        ("7 // 2 + 7 % 4", "6"),
        ("10 % 3", "1"),
        ("1999.99 * 3", "5999.97"),
        ("2 ** -3", "0.125"),
        ("(-1) ** 100000001", "-1"),
        ("1 ** 10 ** 900", "1"),
        ("2 ** 128", str(2**128)),
        ("15% of 80", "12"),
        ("200 * 15%", "30"),
        ("100 / 12.5%", "800"),
        ("(15% of 80) + 1", "13"),
        ("round(12.5% of 1999.99, 2)", "250"),
        ("round(2.5) + round(-2.5) + round(2.675, 2)", "2.68"),
        ("round(1234, -2)", "1200"),
        ("sqrt(1.44) + 16 ** 0.5", "5.2"),
        ("min(3, 1, 2) + max([4, 5]) + sum([1, 2, 3.5]) + abs(-1)", "13.5"),
        ("floor(-1.5) + ceil(1.2)", "0"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("1_000 * 2", "2000"),
        ("1 / 3", "≈ 0.333333333333333333333333333333 (exactly 1/3)"),
        ("sqrt(2)", "≈ 1.41421356237309504880168872421"),
        ("2 ** 0.3 - 2 ** 0.3", "≈ 0"),
        ("1e-40 * 3", "≈ 3E-40"),
        ("1e300 / 1e299", "10"),
        ("+".join("1" * 250), "250"),
    ],
)
def test_the_value_is_exact(expression: str, value: str) -> None:
    """Decimals are what is written, not the nearest binary number; "≈" marks what has no end."""
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("9**9**9", "more than 1000 digits"),
        ("(9**900)**900", "more than 1000 digits"),
        ("2**0.5**-100", "more than 1000 digits"),
        ("10**999.5 * 10**999.5", "more than 1000 digits"),
        ("1e999999999", "more than 1000 digits"),
        ("1e-999999999", "more than 1000 digits"),
        ("7.5**99999999999.5", "more than 1000 digits"),
        ("*".join(["9**300"] * 60), "more than 1000 digits"),
        ("(" * 240 + "1" + ")" * 240, "not an arithmetic expression"),
        ("-" * 400 + "1", "nested more than"),
        ("1 / (2 - 2)", "Division by zero in '1 / (2 - 2)'"),
        ("1 // 0", "Division by zero"),
        ("5 % 0", "Division by zero"),
        ("0 ** -1", "no negative power"),
        ("sqrt(-1)", "no square root"),
        ("(-8) ** 0.3", "no power that is a fraction"),
        ("2 ^ 8", "powers with **"),
        ("1,234.5", "separators"),
        ("10%-3", "look alike"),
        ("2 +", "not an arithmetic expression"),
        ("", "not an arithmetic expression"),
        ("1; 2", "not an arithmetic expression"),
        ("\0", "not an arithmetic expression"),
        ("1" * 501, "longer than"),
        ("x + 1", "'x' is not understood"),
        ("True + 1", "'True' is not understood"),
        ("1j", "not understood"),
        ("'a' * 9", "not understood"),
        ("[1, 2]", "not understood"),
        ("1 < 2", "not understood"),
        ("1 if 1 else 2", "not understood"),
        ("(lambda: 1)()", "not understood"),
        ("[i for i in range(9)]", "not understood"),
        ("__import__('os').system('id')", "not understood"),
        ("(1).__class__", "not understood"),
        ("sum([1], start=2)", "not understood"),
        ("sum(*[1, 2])", "not understood"),
        ("min()", "needs at least one number"),
        ("sqrt(1, 2)", "takes one number"),
        ("round(1, 2, 3)", "how many digits"),
        ("round(1, 0.5)", "how many digits"),
        ("round(1, 99)", "digits at most"),
        ("१ + १", "Only digits"),
    ],
)
def test_what_cannot_be_computed_is_explained(expression: str, told: str) -> None:
    """Bombs, names, attributes and slips are refused with a sentence that says what to mend."""
    with pytest.raises(TryDifferently) as caught:
        calculate(expression)
    assert told in str(caught.value)


OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


@given(
    st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 9999)), max_size=20),
    st.integers(0, 99),
)
def test_the_four_operations_agree_with_fractions(steps: list[tuple[str, int]], first: int) -> None:
    """Step by step, the result is the fraction that it should be."""
    text, value = str(first), Fraction(first)
    for sign, cents in steps:
        text = f"({text}) {sign} {cents / 100:.2f}"
        value = OPERATORS[sign](value, Fraction(cents, 100))
    computation = calculator.Computation(text)
    assert computation.number(ast.parse(text, mode="eval").body) == value
    assert computation.exact


@given(st.text("0123456789.+-*/%()[], eofsqrtumin^_", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    """Whatever a model writes is a value or a sentence about what is wrong."""
    try:
        told = calculate(text)
    except TryDifferently as refusal:
        told = str(refusal)
    assert told


async def test_the_tool_is_pure() -> None:
    """It computes for everybody, reads nothing and changes nothing."""
    registry = Registry([calculator.tool()])
    outcome = await registry.call("calculate", {"expression": "6 * 7"}, ANN, key="k")
    assert (outcome.status, outcome.text) == ("ok", "42")
    refusal = await registry.call("calculate", {"expression": "1 / 0"}, ANN, key="k")
    assert refusal.code == "tool_refused"
    assert calculator.tool().declaration.idempotency == "pure"
