"""Arithmetic for a model: exact, with fractions, and bounded in size and time."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation, Overflow, localcontext
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, Field

from tools.tool import Caller, Declaration, Tool, TryDifferently, typed

MOST_CHARACTERS = 500
MOST_DEPTH = 250  # a sum of 250 numbers is one inside the other
MOST_DIGITS = 1000  # of a number on the way; it bounds the time as well
SHOWN_DIGITS = 30  # of what has no end
MOST_BITS = int(MOST_DIGITS * math.log2(10))

DESCRIPTION = (
    "Computes an arithmetic expression exactly. Operators: + - * / // % ** and parentheses; "
    "15% is 0.15, and `15% of 80` works. Functions: sqrt, abs, floor, ceil, min, max, sum, "
    "round(x, digits), where half is rounded away from zero. Example: round(12.5% of 1999.99, 2)"
)
_TYPED = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "\u00a0": " ", "\u202f": " "})
_PERCENT = re.compile(r"(?<![\w.])(\d[\d_]*\.?\d*|\.\d+)\s*%(?=\s*(of\b|[-+*/),\]]|$))")
_AS_TYPED = re.compile(r"\((\S+)/100\)")


class Expression(BaseModel):
    """What is to be computed."""

    expression: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]


def tool() -> Tool:
    """Return the tool."""

    async def run(asked: Expression, caller: Caller, key: str) -> str:
        return calculate(asked.expression)

    return typed("calculate", DESCRIPTION, Expression, run, Declaration("none", "pure"))


def calculate(expression: str) -> str:
    """Return the value of an expression: a number, or "≈ …" where it has no end.

    Raises TryDifferently.
    """
    text = _readable(expression)
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
        raise TryDifferently(f"This is not an arithmetic expression: {reason}.") from error
    computation = Computation(text)
    return written(computation.number(tree), exact=computation.exact)


def _readable(expression: str) -> str:
    """Return an expression as Python would write it."""
    text = " ".join(expression.translate(_TYPED).split())
    if len(text) > MOST_CHARACTERS:
        raise TryDifferently(f"The expression is longer than {MOST_CHARACTERS} characters.")
    if "^" in text:
        raise TryDifferently("Write powers with **.")
    if not text.isascii():
        raise TryDifferently("Only digits, operators and the functions named are understood.")
    for found in _PERCENT.finditer(text):
        if found[2] == "-":
            raise TryDifferently("10% - 3 and 10 modulo -3 look alike: put parentheses around one.")
    text = _PERCENT.sub(r"(\1/100)", text)
    return re.sub(r"\)\s*of\b", ")*", text)


class Computation:
    """Goes through a parsed expression; knows nothing but what is listed here."""

    def __init__(self, text: str) -> None:
        self.exact = True  # until a root has no end
        self._text = text
        self._operators: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
            ast.Add: lambda a, b: a + b,
            ast.Sub: lambda a, b: a - b,
            ast.Mult: lambda a, b: a * b,
            ast.Div: lambda a, b: a / b,
            ast.FloorDiv: lambda a, b: Fraction(a // b),
            ast.Mod: lambda a, b: a % b,
            ast.Pow: self._power,
        }
        self._functions: dict[str, Callable[[Sequence[Fraction]], Fraction]] = {
            "sqrt": lambda given: self._root(_one("sqrt", given)),
            "abs": lambda given: abs(_one("abs", given)),
            "floor": lambda given: Fraction(math.floor(_one("floor", given))),
            "ceil": lambda given: Fraction(math.ceil(_one("ceil", given))),
            "round": _rounded,
            "min": min,
            "max": max,
            "sum": lambda given: sum(given, Fraction(0)),
        }

    def number(self, node: ast.expr, depth: int = 0) -> Fraction:
        """Return the value of a part of the expression; raises TryDifferently."""
        if depth > MOST_DEPTH:
            raise TryDifferently(f"The expression is nested more than {MOST_DEPTH} deep.")
        match node:
            case ast.Constant():
                value = self._literal(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
                value = self.number(operand, depth + 1)
                value = -value if isinstance(sign, ast.USub) else value
            case ast.BinOp(left=left, op=operator, right=right) if (
                type(operator) in self._operators
            ):
                first, second = self.number(left, depth + 1), self.number(right, depth + 1)
                if not second and isinstance(operator, ast.Div | ast.FloorDiv | ast.Mod):
                    raise TryDifferently(f"Division by zero in {self._part(node)}.")
                value = self._operators[type(operator)](first, second)
            case ast.Call(func=ast.Name(id=name), args=given, keywords=[]) if (
                name in self._functions
            ):
                numbers = self._numbers(given, depth + 1)
                if not numbers:
                    raise TryDifferently(f"{name} needs at least one number.")
                value = self._functions[name](numbers)
            case _:
                raise TryDifferently(self._unknown(node))
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
            raise _too_large()
        return value

    def _literal(self, node: ast.Constant) -> Fraction:
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return Fraction(node.value)
        if not isinstance(node.value, float):
            raise TryDifferently(self._unknown(node))
        written = Decimal(self._source(node))  # as typed: 0.1 is a tenth
        if abs(written.adjusted()) > MOST_DIGITS:
            raise _too_large()
        return Fraction(written)

    def _numbers(self, nodes: list[ast.expr], depth: int) -> list[Fraction]:
        """Return what a function is given: numbers, or one list of them."""
        match nodes:
            case [ast.List(elts=inside) | ast.Tuple(elts=inside)]:
                nodes = inside
        return [self.number(node, depth) for node in nodes]

    def _power(self, base: Fraction, exponent: Fraction) -> Fraction:
        if exponent == Fraction(1, 2):
            return self._root(base)
        if not base and exponent < 0:
            raise TryDifferently("Zero has no negative power.")
        if exponent.denominator != 1:
            return self._rough_power(base, exponent)
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits > 1 and (bits - 1) * abs(exponent) > MOST_BITS:
            raise _too_large()
        return base ** (int(exponent) if bits > 1 else int(exponent) % 2)

    def _rough_power(self, base: Fraction, exponent: Fraction) -> Fraction:
        if base < 0:
            raise TryDifferently("A negative number has no power that is a fraction.")
        self.exact = False
        with localcontext(prec=2 * SHOWN_DIGITS, Emax=MOST_DIGITS, Emin=-MOST_DIGITS):
            try:
                return Fraction(_decimal(base) ** _decimal(exponent))
            except (Overflow, InvalidOperation) as error:
                raise _too_large() from error

    def _root(self, number: Fraction) -> Fraction:
        if number < 0:
            raise TryDifferently("A negative number has no square root.")
        above, below = math.isqrt(number.numerator), math.isqrt(number.denominator)
        if above * above == number.numerator and below * below == number.denominator:
            return Fraction(above, below)
        self.exact = False
        with localcontext(prec=2 * SHOWN_DIGITS):
            return Fraction(_decimal(number).sqrt())

    def _source(self, node: ast.expr) -> str:
        return self._text[node.col_offset : node.end_col_offset]  # one line, ASCII only

    def _part(self, node: ast.expr) -> str:
        return repr(_AS_TYPED.sub(r"\1%", self._source(node))[:60])

    def _unknown(self, node: ast.expr) -> str:
        if isinstance(node, ast.Tuple):
            return "Write numbers without separators for thousands: 1234.5, not 1,234.5."
        names = ", ".join(self._functions)
        return (
            f"{self._part(node)} is not understood. There are numbers, "
            f"+ - * / // % ** and parentheses, and the functions {names}."
        )


def written(value: Fraction, *, exact: bool = True) -> str:
    """Return a number for people and models: 12, 0.125, or ≈ 0.333… (exactly 1/3)."""
    if value.denominator == 1 and exact:
        return str(value.numerator)
    twos, fives, rest = _factors(value.denominator)
    places = max(twos, fives)
    if rest == 1 and places <= SHOWN_DIGITS and exact:
        with localcontext(prec=MOST_DIGITS + SHOWN_DIGITS + 1):
            return f"{_decimal(value):f}"
    with localcontext(prec=SHOWN_DIGITS):
        number = _decimal(value)
        near = f"{number:f}" if -SHOWN_DIGITS < number.adjusted() < SHOWN_DIGITS else f"{number}"
    near = near.rstrip("0").rstrip(".") if "." in near and "E" not in near else near
    fraction = f"{value.numerator}/{value.denominator}"
    return f"≈ {near} (exactly {fraction})" if exact and len(fraction) <= 40 else f"≈ {near}"


def _factors(number: int) -> tuple[int, int, int]:
    """Return how often 2 and 5 divide a number, and what is left."""
    counts = []
    for prime in (2, 5):
        count = 0
        while number % prime == 0:
            number //= prime
            count += 1
        counts.append(count)
    return counts[0], counts[1], number


def _rounded(given: Sequence[Fraction]) -> Fraction:
    if len(given) > 2 or (len(given) == 2 and given[1].denominator != 1):
        raise TryDifferently("round takes a number and how many digits to keep: round(2.345, 2).")
    places = int(given[1]) if len(given) == 2 else 0
    if abs(places) > SHOWN_DIGITS:
        raise TryDifferently(f"round keeps {SHOWN_DIGITS} digits at most.")
    scaled = given[0] * Fraction(10) ** places
    whole = math.floor(abs(scaled) + Fraction(1, 2))
    return Fraction(whole if scaled >= 0 else -whole) / Fraction(10) ** places


def _one(name: str, given: Sequence[Fraction]) -> Fraction:
    if len(given) != 1:
        raise TryDifferently(f"{name} takes one number.")
    return given[0]


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _too_large() -> TryDifferently:
    return TryDifferently(f"A number on the way has more than {MOST_DIGITS} digits.")
