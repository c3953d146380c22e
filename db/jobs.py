"""The tables of the job queue: procrastinate's own, in a schema of their own.

The library ships its schema as one file and as numbered migrations that add up to the same.
A new database gets the file; an older one gets the migrations that its book does not name yet.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from core.errors import DatabaseUnusable
from db.sql import load

SCHEMA = "jobs"
SQL = load(__file__)


@dataclass(frozen=True, slots=True)
class Library:
    """The SQL that an installed version of procrastinate brings along."""

    schema: str
    migrations: dict[str, str]  # name -> statements, in order

    @property
    def version(self) -> str:
        """Return the name of its newest migration."""
        return next(reversed(self.migrations), "none")

    @classmethod
    def read(cls, folder: Path | None = None) -> Library:
        """Return the SQL in the library's folder `sql`; by default of the installed version.

        The library is not imported: that takes longer than all of this.
        """
        folder = folder or _installed()
        paths = sorted((folder / "migrations").glob("*.sql"))
        return cls(
            (folder / "schema.sql").read_text(encoding="utf-8"),
            {path.stem: path.read_text(encoding="utf-8") for path in paths},
        )


async def install(conn: AsyncConnection[Any], library: Library) -> list[str]:
    """Bring the queue's tables to the version of `library`; return what this call applied.

    conn: as the owner, in autocommit. Its search path is the queue's afterwards.
    """
    missing = await outstanding(conn, library)
    if not missing:
        return []
    fresh = len(missing) == len(library.migrations)
    await conn.execute(SQL["prepare"])
    await conn.execute(f"set search_path = {SCHEMA}")
    one_by_one = [([name], library.migrations[name]) for name in missing]
    steps = [(missing, library.schema)] if fresh else one_by_one
    for names, statements in steps:
        async with conn.transaction():
            await conn.execute(statements.encode())
            await conn.execute(SQL["record"], {"names": names})
    await conn.execute(SQL["grant"])
    return [f"jobs {library.version}"]


async def outstanding(conn: AsyncConnection[Any], library: Library) -> list[str]:
    """Return the migrations of `library` that are not in place; a newer database lacks none."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        row = await (await cursor.execute(SQL["has_book"])).fetchone()
        applied: set[str] = set()
        if row is not None and row["found"]:
            await cursor.execute(SQL["applied"])
            applied = {found["name"] for found in await cursor.fetchall()}
    return [name for name in library.migrations if name not in applied]


async def installed() -> Library:
    """Return the SQL of the installed version."""
    return await asyncio.to_thread(Library.read)


def _installed() -> Path:
    spec = find_spec("procrastinate")
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnusable("procrastinate is not installed; `make install` does it.")
    return Path(spec.submodule_search_locations[0]) / "sql"
