"""Bringing a database to the schema of this version: numbered files, forward only.

Any number of processes may try at once: one does the work, the others wait and find it done.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from core.errors import DatabaseUnavailable, DatabaseUnusable, SchemaOutdated
from db import jobs
from db.sql import load, read_ahead

SEARCH_PATH = "parley, checkpoints, jobs, public"
APP_ROLE = "parley_app"
READER_ROLE = "parley_reader"
_FOLDER = Path(__file__).with_name("migrations")
_OLDEST_SERVER = 160000
_WAIT_SECONDS = 0.05
SQL = load(__file__)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `db/migrations`."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the file; an applied file never changes."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return all migrations in order."""
    paths = sorted(_FOLDER.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Migration(path.stem, path.read_text(encoding="utf-8")) for path in paths]


async def migrate(
    admin_url: str, *, app_url: str | None = None, reader_url: str | None = None
) -> list[str]:
    """Apply what is missing and return the names of what this call applied.

    admin_url: the database as an owner, who may create roles.
    app_url: where given, role parley_app gets its password, unless that works already.
    reader_url: where given, role parley_reader may log in, with the password there.
    Each file is one transaction. Raises DatabaseUnavailable, DatabaseUnusable.
    """
    await asyncio.to_thread(read_ahead, _FOLDER.parent)
    try:
        async with await AsyncConnection.connect(
            admin_url, autocommit=True, row_factory=dict_row, connect_timeout=10
        ) as conn:
            _check_server(conn)
            await conn.execute(SQL["search_path"], {"path": SEARCH_PATH})
            # Asking again instead of waiting inside Postgres: a waiting statement would
            # block the checkpointer's `create index concurrently`, a deadlock.
            while not await _flag(conn, SQL["try_lock"]):  # noqa: ASYNC110 - it is a database lock
                await asyncio.sleep(_WAIT_SECONDS)
            applied = [*await _ours(conn), *await _checkpointer(conn), *await _jobs(conn)]
            if app_url is not None:
                await _password(conn, app_url)
            if reader_url is not None:
                await _admit(conn, reader_url)
            await conn.execute(SQL["unlock"])
            return applied
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"The database does not answer: {error}") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseUnusable(
            f"The owner role may not migrate: {error.diag.message_primary}.",
            hint="It needs CREATE on the database and CREATEROLE; a superuser has to run "
            "`create extension vector` there once.",
        ) from error
    except psycopg.Error as error:
        raise DatabaseUnusable(f"The migration failed and was undone: {error}") from error


async def verify(conn: AsyncConnection[Any]) -> None:
    """Raise SchemaOutdated unless the database has all that this version needs.

    A newer database is fine: replicas of two versions run side by side during an upgrade.
    """
    _check_server(conn)
    if not await _flag(conn, SQL["has_book"]):
        raise SchemaOutdated("The database is empty; run `python -m db migrate`.")
    missing = await _missing(conn)
    if missing or await _checkpoints_version(conn) < len(AsyncPostgresSaver.MIGRATIONS) - 1:
        raise SchemaOutdated
    if await jobs.outstanding(conn, await jobs.installed()):
        raise SchemaOutdated


async def _ours(conn: AsyncConnection[DictRow]) -> list[str]:
    if not await _flag(conn, SQL["has_book"]):
        async with conn.transaction():
            await conn.execute(SQL["prepare"])
    missing = await _missing(conn)
    for migration in missing:
        async with conn.transaction():
            await conn.execute(migration.text)
            record = {"name": migration.name, "sha256": migration.sha256}
            await conn.execute(SQL["record"], record)
    return [migration.name for migration in missing]


async def _missing(conn: AsyncConnection[Any]) -> list[Migration]:
    """Return what was not applied yet; raises DatabaseUnusable when history was rewritten."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["applied"])
        applied = {row["name"]: row["sha256"] async for row in cursor}
    known = await asyncio.to_thread(migrations)
    for migration in known:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise DatabaseUnusable(
                f"Migration {migration.name} was changed after it had been applied here.",
                hint="Restore the file and put the change into a new migration.",
            )
    return [migration for migration in known if migration.name not in applied]


async def _checkpointer(conn: AsyncConnection[DictRow]) -> list[str]:
    """Let the checkpointer make its own tables, in a schema of its own."""
    before = await _checkpoints_version(conn)
    if before == len(AsyncPostgresSaver.MIGRATIONS) - 1:
        return []
    await conn.execute(SQL["search_path"], {"path": "checkpoints"})
    await AsyncPostgresSaver(conn).setup()
    await conn.execute(SQL["grant_checkpoints"])
    await conn.execute(SQL["search_path"], {"path": SEARCH_PATH})
    return [f"checkpoints {await _checkpoints_version(conn)}"]


async def _jobs(conn: AsyncConnection[DictRow]) -> list[str]:
    """Let the job queue have its own tables, in a schema of its own."""
    applied = await jobs.install(conn, await jobs.installed())
    if applied:
        await conn.execute(SQL["search_path"], {"path": SEARCH_PATH})
    return applied


async def _checkpoints_version(conn: AsyncConnection[Any]) -> int:
    """Return the version of the checkpointer's tables, -1 when there are none."""
    if not await _flag(conn, SQL["has_checkpoints"]):
        return -1
    row = await (
        await conn.cursor(row_factory=dict_row).execute(SQL["checkpoints_version"])
    ).fetchone()
    return -1 if row is None or row["version"] is None else int(row["version"])


async def _password(conn: AsyncConnection[DictRow], app_url: str) -> None:
    """Give parley_app the password that its URL carries; the server sees only its hash."""
    given = conninfo_to_dict(app_url)
    if given.get("user") != APP_ROLE or not given.get("password"):
        return
    if not await _works(app_url):
        statement = psycopg.sql.SQL("alter role parley_app password {}")
        await conn.execute(statement.format(_hashed(conn, str(given["password"]), APP_ROLE)))


async def _admit(conn: AsyncConnection[DictRow], reader_url: str) -> None:
    """Let parley_reader log in, unless it can."""
    given = conninfo_to_dict(reader_url)
    if given.get("user") != READER_ROLE or await _works(reader_url):
        return
    password = given.get("password")  # none: the server asks for none, as the embedded one
    hashed = _hashed(conn, str(password), READER_ROLE) if password else None
    try:
        await conn.execute(
            psycopg.sql.SQL("alter role parley_reader login password {}").format(hashed)
        )
    except psycopg.errors.InternalError_:
        if not await _works(reader_url):  # else another database's migration was faster
            raise


async def _works(url: str) -> bool:
    try:
        await (await AsyncConnection.connect(url, connect_timeout=10)).close()
    except psycopg.OperationalError:
        return False
    return True


def _hashed(conn: AsyncConnection[DictRow], password: str, role: str) -> str:
    return conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()


def _check_server(conn: AsyncConnection[Any]) -> None:
    if conn.info.server_version < _OLDEST_SERVER:
        version = conn.info.parameter_status("server_version")
        raise DatabaseUnusable(f"Parley needs Postgres 16 or newer; this is {version}.")


async def _flag(conn: AsyncConnection[Any], statement: LiteralString) -> bool:
    async with conn.cursor() as cursor:
        row = await (await cursor.execute(statement)).fetchone()
    return bool(next(iter(row.values())) if isinstance(row, dict) else row and row[0])
