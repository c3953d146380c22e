"""Which tools there are, and one way to call them: checked, bounded, and never raising.

Whatever a tool does, the caller gets an `Outcome`: the model goes on with its text, and whoever
keeps the ledger with its status.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from pydantic import ValidationError

from core.breaker import Breaker
from core.errors import ParleyError, RemoteUnreachable
from core.text import scrub
from safety.credentials import redact
from tools.tool import Arguments, Caller, Output, Tool, TryDifferently

MOST_ARGUMENTS = 64_000  # characters of JSON
MOST_DEPTH = 64  # of arguments: deeper ones break whoever reads them later
LEFT_OUT = "\n[… {0} characters left out]"

# ok: it ran. refused: it did not run, and the model may try differently. failed: it ran, or may
# have, and did not end well. resting: it failed so often that it is left alone for a while.
Status = Literal["ok", "refused", "failed", "resting"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended."""

    status: Status
    text: str  # for the model
    code: str = ""  # why it did not succeed
    sources: tuple[str, ...] = ()
    may_have_run: bool = False  # the effect may be there although the call did not end well


class Registry:
    """The tools of a process, by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """Raises ValueError for two of the same name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"two tools are called {tool.name}")
            self._tools[tool.name] = tool
        self._breakers = {name: Breaker() for name in self._tools}

    def __iter__(self) -> Iterator[Tool]:
        """Go through the tools in the order in which they were given."""
        return iter(self._tools.values())

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name."""
        return self._tools.get(name)

    def offered(self, caller: Caller) -> list[Tool]:
        """Return the tools that a caller's roles allow."""
        return [tool for tool in self if permitted(tool, caller)]

    def checked(self, name: str, arguments: str | Arguments, caller: Caller) -> Arguments | Outcome:
        """Return the arguments of a call as an object, or why it cannot be made."""
        tool = self._tools.get(name)
        if tool is None or not permitted(tool, caller):
            names = ", ".join(one.name for one in self.offered(caller)) or "none"
            return refused(
                "unknown_tool", f"There is no tool {scrub(name)[:80]!r}. Tools: {names}."
            )
        parsed = parse(arguments)
        if isinstance(parsed, str):
            return refused("arguments_invalid", parsed)
        if fault := tool.fault(parsed):
            return refused("arguments_invalid", f"The arguments do not fit the schema: {fault}")
        return parsed

    async def call(
        self,
        name: str,
        arguments: str | Arguments,
        caller: Caller,
        *,
        key: str,
        conn: AsyncConnection[TupleRow] | None = None,
    ) -> Outcome:
        """Run a tool once; never raises for what the tool does.

        arguments: an object, or the JSON of one, as models write it.
        key: the idempotency key, the same whenever the same call is made again.
        conn: a transaction in which a tool with `within` works; what does not succeed leaves no
        trace there.
        """
        found = self.checked(name, arguments, caller)
        if isinstance(found, Outcome):
            return found
        tool, breaker = self._tools[name], self._breakers[name]
        if not breaker.allows():
            return Outcome("resting", f"{name} fails at the moment; do without it.", "tool_resting")
        outcome = await _run(tool, found, caller, key, conn)
        breaker.note(failed=outcome.status == "failed")
        return outcome


def permitted(tool: Tool, caller: Caller) -> bool:
    """Return whether a caller's roles allow a tool."""
    return not tool.declaration.roles or bool(tool.declaration.roles & caller.roles)


def refused(code: str, text: str) -> Outcome:
    """Return that a call was not made, and why."""
    return Outcome("refused", text, code)


def parse(arguments: str | Arguments) -> dict[str, Any] | str:
    """Return arguments as an object, or what is wrong with them."""
    text = arguments if isinstance(arguments, str) else _written(arguments)
    if len(text) > MOST_ARGUMENTS:
        return f"The arguments are longer than {MOST_ARGUMENTS} characters."
    try:
        found = json.loads(text or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return f"The arguments are not JSON: {error}"
    if not isinstance(found, dict):
        return "The arguments are not a JSON object."
    return _unstorable(found) or found


def _unstorable(arguments: dict[str, Any]) -> str:
    """Return why arguments cannot be written down, though they are JSON; "" when they can."""
    pending: list[tuple[Any, int]] = [(arguments, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > MOST_DEPTH:
            return "The arguments are nested too deeply."
        if isinstance(value, str) and scrub(value) != value:
            return "The arguments hold a NUL or half of a character pair, which is not text."
        if isinstance(value, float) and not math.isfinite(value):
            return "The arguments hold a number that is too large."
        if isinstance(value, dict):
            pending += [(name, depth) for name in value]
            value = [*value.values()]
        if isinstance(value, list):
            pending += [(inner, depth + 1) for inner in value]
    return ""


async def _run(
    tool: Tool,
    arguments: Arguments,
    caller: Caller,
    key: str,
    conn: AsyncConnection[TupleRow] | None,
) -> Outcome:
    seconds = tool.declaration.timeout_seconds
    effect = tool.declaration.effect != "none" and conn is None  # a transaction is undone
    try:
        async with asyncio.timeout(seconds):
            output = await _output(tool, arguments, caller, key, conn)
    except TryDifferently as error:
        text = capped(redact(scrub(str(error))), tool.most_characters)
        return Outcome("refused", text, "tool_refused", error.sources)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return refused("arguments_invalid", f"{place}: {first['msg']}")
    except TimeoutError:
        text = f"{tool.name} did not end within {seconds:g} s."
        return Outcome("failed", text, "tool_timeout", may_have_run=effect)
    except ParleyError as error:
        sent = not isinstance(error, RemoteUnreachable)
        return Outcome("failed", redact(error.message), error.code, may_have_run=effect and sent)
    except Exception as error:
        log.exception("a tool failed", extra={"tool": tool.name})
        text = f"{tool.name} failed ({type(error).__name__})."  # its text may hold secrets
        return Outcome("failed", text, "tool_failed", may_have_run=effect)
    return _succeeded(tool, output)


async def _output(
    tool: Tool,
    arguments: Arguments,
    caller: Caller,
    key: str,
    conn: AsyncConnection[TupleRow] | None,
) -> Output:
    if conn is None or tool.within is None:
        return await tool.run(arguments, caller, key)
    async with conn.transaction():
        return await tool.within(conn, arguments, caller, key)


def _succeeded(tool: Tool, output: Output) -> Outcome:
    text = capped(redact(scrub(output.text)), tool.most_characters)
    return Outcome("ok", text, sources=output.sources)


def capped(text: str, most: int) -> str:
    """Return `text` cut at `most` characters, saying so."""
    return text if len(text) <= most else text[:most] + LEFT_OUT.format(len(text) - most)


def _written(arguments: Mapping[str, Any]) -> str:
    try:
        return json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "not JSON"


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
