"""Questions in SQL: one SELECT over views of the caller's tenant, as a role that may do no more.

Each question has a connection of its own, so nothing that one leaves behind meets the next, and
a transaction that is read-only, short and always rolled back.
"""

from __future__ import annotations

import asyncio
import csv
import io
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from pydantic import BaseModel, Field

from core.errors import DatabaseBusy, DatabaseUnavailable, RoleTooPowerful
from db.pool import connection_arguments
from db.sql import load
from tools.selects import MOST_CHARACTERS, only_select
from tools.tool import Caller, Declaration, Output, Tool, TryDifferently, typed

DESCRIPTION = (
    "Answers a question about stored data with one SQL SELECT (Postgres), read-only. "
    "Returns CSV. Count and sum in SQL instead of reading many rows. Views:\n"
)
_BATCH = 10  # rows read at once; each of them may be long
_log = logging.getLogger(__name__)
SQL = load(__file__)

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may use."""

    seconds: float = 5.0  # of the server
    grace_seconds: float = 2.0  # then the client cancels and leaves
    rows: int = 200
    characters: int = 16_000  # of the answer
    cell_characters: int = 1_000
    at_once: int = 4  # the role may have 8 connections, over all processes


@dataclass(frozen=True, slots=True)
class View:
    """What a question may be about."""

    name: str
    about: str
    columns: tuple[str, ...]  # "total_cents bigint"

    def __str__(self) -> str:
        """Return it as the model reads it."""
        return f"{self.name}({', '.join(self.columns)}): {self.about}"


class Question(BaseModel):
    """What is asked."""

    sql: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]


class Reports:
    """The views of schema `reports`, behind a role that reads them and nothing else."""

    def __init__(self, url: str, views: Sequence[View], limits: Limits) -> None:
        """Use `open`, which looks at the role first."""
        self.views = tuple(views)
        self._url = url
        self._limits = limits
        self._free = asyncio.Semaphore(limits.at_once)

    @classmethod
    async def open(cls, url: str, limits: Limits | None = None) -> Reports:
        """Return what may be asked.

        url: the database as role parley_reader.
        Raises RoleTooPowerful, DatabaseUnavailable.
        """
        async with _connected(url) as conn:
            row = await (await conn.execute(SQL["power"])).fetchone()
            if row is None or row[0] is not None:
                raise RoleTooPowerful(
                    f"The role for questions in SQL {row and row[0]}.",
                    hint="Set DATABASE_READER_URL to the same database with user parley_reader.",
                )
            found = await (await conn.execute(SQL["views"])).fetchall()
        views = [View(name, about, tuple(columns)) for name, about, columns in found]
        return cls(url, views, limits or Limits())

    async def ask(self, text: str, *, tenant_id: str) -> str:
        """Return the answer as CSV, cut where it gets long, saying so.

        Raises TryDifferently, DatabaseBusy, DatabaseUnavailable.
        """
        limits = self._limits
        statement = only_select(text, [view.name for view in self.views])
        try:
            async with self._free, asyncio.timeout(limits.seconds + limits.grace_seconds):
                return await self._answer(statement, tenant_id)
        except TimeoutError as error:  # the connection cancels what it waits for
            raise _took_too_long(limits.seconds) from error
        except psycopg.errors.QueryCanceled as error:
            raise _took_too_long(limits.seconds) from error
        except psycopg.errors.ConfigurationLimitExceeded as error:
            raise TryDifferently(
                "The query needs too much room; ask for less, or join on a key."
            ) from error
        except psycopg.Error as error:
            raise _told(error) from error

    async def _answer(self, statement: str, tenant_id: str) -> str:
        async with _connected(self._url) as conn:
            await conn.set_read_only(True)
            milliseconds = str(int(self._limits.seconds * 1000))
            await conn.execute(
                SQL["settings"], {"tenant_id": tenant_id, "milliseconds": milliseconds}
            )
            # A cursor of the server: it takes one statement, a SELECT, and gives rows by and by.
            async with conn.cursor(name="answer") as cursor:
                await cursor.execute(statement.encode())
                return await self._written(cursor)

    async def _written(self, cursor: psycopg.AsyncServerCursor[TupleRow]) -> str:
        page = io.StringIO()
        lines = csv.writer(page, lineterminator="\n")
        lines.writerow(column.name for column in cursor.description or ())
        count = 0
        while batch := await cursor.fetchmany(_BATCH):
            for row in batch:
                if count == self._limits.rows or page.tell() > self._limits.characters:
                    return f"{page.getvalue()}[… there is more; these are the first {count} rows]"
                lines.writerow([self._cell(value) for value in row])
                count += 1
        return f"{page.getvalue()}[{count} {'row' if count == 1 else 'rows'}]"

    def _cell(self, value: Any) -> str:
        text = "" if value is None else str(value)
        most = self._limits.cell_characters
        return text if len(text) <= most else text[:most] + "…"


def tool(reports: Reports) -> Tool:
    """Return the tool. Rows hold what customers wrote, so they are text by strangers."""

    async def run(question: Question, caller: Caller, key: str) -> Output:
        text = await reports.ask(question.sql, tenant_id=caller.tenant_id)
        return Output(text, sources=("database:reports",))

    description = DESCRIPTION + "\n".join(map(str, reports.views))
    declaration = Declaration("none", "pure", reads_private=True, reads_untrusted=True)
    return typed("query_database", description, Question, run, declaration)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Conn]:
    """Give a connection that nobody had before or gets afterwards; what it did is undone."""
    try:
        conn = await AsyncConnection.connect(
            url, **{**connection_arguments(url), "autocommit": False}
        )
    except psycopg.OperationalError as error:
        _log.warning("the database for questions in SQL failed: %s", error)
        raise DatabaseUnavailable from error
    try:
        yield conn
    finally:
        await conn.close()  # the server rolls back


def _told(error: psycopg.Error) -> Exception:
    """Return what an error means: for the model, when the statement is to blame."""
    state = error.sqlstate or ""
    if state == "53300":  # too many connections
        return DatabaseBusy()
    if isinstance(error, psycopg.OperationalError) and not state.startswith(("22", "42", "53")):
        _log.warning("the database for questions in SQL failed: %s", error)
        return DatabaseUnavailable()
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    return TryDifferently(f"{error.diag.message_primary or 'The answer cannot be read.'}{hint}")


def _took_too_long(seconds: float) -> TryDifferently:
    return TryDifferently(f"The query did not end within {seconds:g} s; ask for less.")
