"""Python written by a model, run by an interpreter that has nothing: no files, network, imports.

The interpreter is pydantic-monty, in processes of its own. Without limits it would run for ever
and take all memory: every call here has all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic_monty import (
    AsyncMonty,
    CollectString,
    MontyCrashedError,
    MontyError,
    MontyRuntimeError,
    MontySyntaxError,
    ResourceLimits,
)

from core.text import scrub
from tools.tool import Caller, Declaration, Tool, TryDifferently, typed

DESCRIPTION = (
    "Runs a short Python program and returns what it prints and the value of its last "
    "expression. Modules: json, re, math, datetime, random and a few more. There are no files, "
    "no network, no other packages, and classes cannot inherit; nothing is kept for the next call."
)
MOST_CODE = 20_000  # characters
_TOO_LARGE = "a value too large to be shown; print a part of it"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. What it computes counts, not what it waits for."""

    seconds: float = 2.0
    grace_seconds: float = 0.5  # then its process is killed, where it cannot be interrupted
    sleep_seconds: float = 1.0
    memory_bytes: int = 32_000_000
    depth: int = 200
    suspensions: int = 100  # turns to us, such as every sleep
    printed_bytes: int = 16_000
    processes: int = 2  # programs at the same time; others wait

    def resources(self) -> ResourceLimits:
        """Return the interpreter's own words; one left out would be no limit."""
        return ResourceLimits(
            max_feed_duration_secs=self.seconds,
            max_turn_duration_secs=self.seconds,
            max_total_sleep_secs=self.sleep_seconds,
            max_memory=self.memory_bytes,
            max_recursion_depth=self.depth,
            max_suspensions=self.suspensions,
        )


class Program(BaseModel):
    """What is to be run."""

    code: Annotated[str, Field(min_length=1, max_length=MOST_CODE)]


class Sandbox:
    """Processes that run programs, each program in a fresh one."""

    def __init__(self, pool: AsyncMonty, limits: Limits) -> None:
        """Use `open`."""
        self._pool = pool
        self._limits = limits

    @classmethod
    @asynccontextmanager
    async def open(cls, limits: Limits | None = None) -> AsyncIterator[Sandbox]:
        """Yield a sandbox; its processes end with the block."""
        limits = limits or Limits()
        async with AsyncMonty(
            min_processes=0,
            max_processes=limits.processes,
            max_checkouts_per_worker=1,  # nothing of one program is there for the next
            request_timeout=limits.seconds + limits.sleep_seconds + 2 * limits.grace_seconds,
            feed_duration_limit_grace=limits.grace_seconds,
            turn_duration_limit_grace=limits.grace_seconds,
        ) as pool:
            yield cls(pool, limits)

    async def run(self, code: str) -> str:
        """Return what a program printed, and its last value unless that is None.

        Raises TryDifferently for every way in which it can fail; cancelling ends the program.
        """
        printed = CollectString(max_bytes=self._limits.printed_bytes)
        async with self._pool.checkout(limits=self._limits.resources()) as session:
            try:
                value = await session.feed_run(scrub(code), print_callback=printed)
            except MontyCrashedError as error:
                raise _failed("TimeoutError: it had to be killed", printed) from error
            except (MontyRuntimeError, MontySyntaxError) as error:
                raise _failed(_told(error), printed) from error
            except MontyError as error:
                raise _failed(str(error), printed) from error
        # A long value is written in a thread: the event loop has others to serve.
        shown = "" if value is None else await asyncio.to_thread(_shown, value)
        return "\n".join(part for part in (printed.output.rstrip("\n"), shown) if part) or (
            "It ran and printed nothing; end it with an expression or print."
        )


def tool(sandbox: Sandbox) -> Tool:
    """Return the tool."""

    async def run(program: Program, caller: Caller, key: str) -> str:
        return await sandbox.run(program.code)

    return typed("run_python", DESCRIPTION, Program, run, Declaration("none", "pure"))


def _failed(reason: str, printed: CollectString) -> TryDifferently:
    before = printed.output.rstrip("\n")
    return TryDifferently(f"{before}\n{reason}" if before else reason)


def _told(error: MontyRuntimeError | MontySyntaxError) -> str:
    """Return an error as Python names it, with the line where it happened."""
    frames = error.traceback()
    place = f" (line {frames[-1].line})" if frames else ""
    return error.display("type-msg")[:2000] + place


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError, MemoryError):  # an integer of 4300 digits, a deep list
        return _TOO_LARGE
