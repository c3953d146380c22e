"""Is this one SELECT over views we name, with functions we know? Everything else is refused.

The answer is written anew from what was understood: what was looked at is what the server gets,
without comments, and with the schema before each view.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from core.text import scrub
from tools.tool import TryDifferently

MOST_CHARACTERS = 4_000
MOST_PARTS = 600
SCHEMA = "reports"

_SHAPE = {
    exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Subquery, exp.With, exp.CTE,
    exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Distinct,
    exp.Limit, exp.Offset, exp.Fetch, exp.LimitOptions, exp.Table, exp.TableAlias, exp.Alias,
    exp.Column, exp.Identifier, exp.Star, exp.Window, exp.WindowSpec, exp.Filter, exp.WithinGroup,
}  # fmt: skip
_VALUES = {
    exp.Literal, exp.Boolean, exp.Null, exp.Interval, exp.Var, exp.Cast, exp.DataType,
    exp.DataTypeParam, exp.Case, exp.If, exp.Paren, exp.Tuple, exp.AtTimeZone,
}  # fmt: skip
# No `||` and nothing else that lets text grow: doubled thirty times it fills the server.
_OPERATORS = {
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.And, exp.Or, exp.Not, exp.EQ,
    exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike,
    exp.Exists, exp.Any, exp.All, exp.NullSafeEQ, exp.NullSafeNEQ,
}  # fmt: skip
_FUNCTIONS = {
    exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Stddev, exp.StddevPop, exp.StddevSamp,
    exp.Variance, exp.VariancePop, exp.LogicalAnd, exp.LogicalOr, exp.PercentileCont,
    exp.PercentileDisc, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Lag, exp.Lead,
    exp.FirstValue, exp.LastValue, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs,
    exp.Round, exp.Floor, exp.Ceil, exp.Lower, exp.Upper, exp.Length, exp.Trim, exp.Left,
    exp.Right, exp.Substring, exp.StrPosition, exp.TimestampTrunc, exp.Extract, exp.TimeToStr,
    exp.CurrentDate, exp.CurrentTimestamp,
}  # fmt: skip
_ALLOWED = frozenset(_SHAPE | _VALUES | _OPERATORS | _FUNCTIONS)
_KIND = exp.DataType.Type
# Not char: it pads with spaces, ten megabytes of them. Not regclass: it looks into the catalog.
_TYPES = frozenset({
    _KIND.BOOLEAN, _KIND.SMALLINT, _KIND.INT, _KIND.BIGINT, _KIND.DECIMAL, _KIND.DOUBLE,
    _KIND.TEXT, _KIND.VARCHAR, _KIND.DATE, _KIND.TIMESTAMP, _KIND.TIMESTAMPTZ, _KIND.INTERVAL,
    _KIND.UUID,
})  # fmt: skip
_BEGINNING = re.compile(r"\s*(select|with)\b", re.IGNORECASE)


def only_select(text: str, views: Collection[str]) -> str:
    """Return the statement to send; raises TryDifferently, saying what is not allowed.

    views: names in schema `reports` that it may read.
    """
    tree = _parsed(text)
    parts = list(tree.walk())
    if len(parts) > MOST_PARTS:
        raise TryDifferently("The query is too long; ask for less at once.")
    for part in parts:
        if type(part) not in _ALLOWED:
            raise TryDifferently(f"{_name(part)} is not allowed in a query.")
        if isinstance(part, exp.DataType) and part.this not in _TYPES:
            raise TryDifferently(f"The type {part.sql('postgres')[:60]} is not allowed in a query.")
    named = frozenset(_named(tree, views))
    for table in tree.find_all(exp.Table):
        _view(table, views, named)
    return tree.sql(dialect="postgres", comments=False)


def _parsed(text: str) -> exp.Expression:
    if len(text) > MOST_CHARACTERS:
        raise TryDifferently(f"The query is longer than {MOST_CHARACTERS} characters.")
    text = scrub(text)  # to the driver, a statement would end at a NUL
    if not _BEGINNING.match(text):
        raise TryDifferently("Only SELECT is allowed; a query begins with SELECT or WITH.")
    try:
        found = [one for one in sqlglot.parse(text, dialect="postgres") if one is not None]
    except RecursionError as error:
        raise TryDifferently("The query is nested too deep.") from error
    except SqlglotError as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "it cannot be read"
        raise TryDifferently(f"This is no SQL of Postgres: {reason}") from error
    if len(found) != 1:
        raise TryDifferently("Send exactly one statement.")
    tree = found[0]
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise TryDifferently("Only SELECT is allowed; a query begins with SELECT or WITH.")
    return tree


def _named(tree: exp.Expression, views: Collection[str]) -> Iterator[str]:
    """Yield the names that the query gives to parts of itself."""
    for clause in tree.find_all(exp.With):
        if clause.args.get("recursive"):
            raise TryDifferently("WITH RECURSIVE is not allowed in a query.")
    for part in tree.find_all(exp.CTE):
        # Outside of its scope, such a name would mean a table of the system.
        name = _folded(part.args["alias"].this)
        if name.startswith("pg_") or name in views:
            raise TryDifferently(f"Give {name[:60]!r} in WITH another name.")
        yield name


def _view(table: exp.Table, views: Collection[str], named: Collection[str]) -> None:
    """Check that a table is one of the views, and write its schema before it."""
    extra = {key for key, value in table.args.items() if value} - {"this", "db", "alias", "joins"}
    simple = isinstance(table.this, exp.Identifier) and not extra
    name = _folded(table.this) if simple else ""
    if simple and not table.db and name in named:
        return
    if not simple or table.db not in ("", SCHEMA) or name not in views:
        raise TryDifferently(
            f"There is no {table.sql('postgres')[:60]!r} to query. "
            f"There are: {', '.join(sorted(views))}."
        )
    table.set("db", exp.to_identifier(SCHEMA))


def _folded(identifier: exp.Identifier) -> str:
    """Return a name as Postgres understands it."""
    name = identifier.name
    return name if identifier.args.get("quoted") else name.lower()


def _name(part: exp.Expr) -> str:
    """Return what a part is called in SQL, as far as possible."""
    if isinstance(part, exp.Anonymous):
        return f"The function {part.name[:60]}"
    return part.key.upper()
