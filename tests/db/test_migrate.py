"""Migrations: once each, whoever races, and by owners that are no superusers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from core.errors import DatabaseUnavailable, DatabaseUnusable
from db import threads
from db.embedded import EmbeddedPostgres, join
from db.migrate import migrate, migrations
from db.pool import Database

ROOT = Path(__file__).parents[2]
PASSWORD = 'wors %40 th\'an "most"'


@pytest.fixture
def empty(server: EmbeddedPostgres) -> Iterator[str]:
    """Owner's URL of a database without anything."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(server.admin_url, autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
        yield server.address("postgres", name)
        conn.execute(f"drop database {name} with (force)".encode())


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own, without our roles, that asks everybody but its owner for a password."""
    postgres = join(tmp_path / "postgres", {"fsync": "off"})
    rules = "local all postgres trust\nlocal all all scram-sha-256\n"
    (tmp_path / "postgres" / "data" / "pg_hba.conf").write_text(rules)
    execute(
        postgres.admin_url,
        "select pg_reload_conf()",
        "create role boss login createrole password 'boss'",
        "create database theirs owner boss",
    )
    yield postgres
    postgres.leave()


async def test_each_once(empty: str) -> None:
    """An empty database gets every migration in order, and nothing the second time."""
    names = [migration.name for migration in migrations()]
    assert names == sorted(names)
    assert (await migrate(empty))[:-2] == names
    assert await migrate(empty) == []


def test_row_27_six_processes(empty: str) -> None:
    """Of six processes that race on an empty database all come up; each migration runs once."""
    program = (
        "import asyncio, sys; from db.migrate import migrate; print('ready', flush=True);"
        "sys.stdin.readline(); print(*asyncio.run(migrate(sys.argv[1])), sep='\\n')"
    )
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", program, empty],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in racing:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in racing:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate() for process in racing]
    assert [process.returncode for process in racing] == [0] * 6, said
    applied = sorted(line for output, _ in said for line in output.splitlines() if line)
    assert applied[:-2] == [migration.name for migration in migrations()]
    assert [line.split()[0] for line in applied[-2:]] == ["checkpoints", "jobs"]


async def test_two_databases_of_one_server(server: EmbeddedPostgres) -> None:
    """Two databases of one server can be migrated at the same time, though they share roles."""
    names = [f"twin_{uuid4().hex}" for _ in range(2)]
    for name in names:
        execute(server.admin_url, f"create database {name}")
    await asyncio.gather(*(migrate(server.address("postgres", name)) for name in names))
    for name in names:
        execute(server.admin_url, f"drop database {name} with (force)")


async def test_changed_file(admin_url: str) -> None:
    """A migration that was changed after it had been applied is an error, not a surprise."""
    execute(admin_url, "update parley.migrations set sha256 = 'x' where name like '0001%'")
    with pytest.raises(DatabaseUnusable, match="0001_conversations was changed"):
        await migrate(admin_url)


async def test_failure_leaves_nothing_half(empty: str) -> None:
    """A migration that fails is undone, says why, and can be tried again."""
    execute(empty, "create schema parley", "create table parley.turns (i int)")
    with pytest.raises(DatabaseUnusable, match="turns"):
        await migrate(empty)
    with psycopg.connect(empty) as conn:
        assert conn.execute("select to_regclass('parley.threads')").fetchone() == (None,)
    execute(empty, "drop table parley.turns")
    assert "0001_conversations" in await migrate(empty)


async def test_no_server(tmp_path: Path) -> None:
    """An address where nobody answers is a typed error."""
    with pytest.raises(DatabaseUnavailable):
        await migrate(f"postgresql:///parley?host={tmp_path}")


async def test_owner_without_superpowers(strict: EmbeddedPostgres) -> None:
    """An owner with CREATEROLE migrates, once a superuser has created the extension.

    The application's role gets the password that its URL carries, and works.
    """
    owner = address(strict, "boss", "boss")
    app_url = address(strict, "parley_app", PASSWORD)
    with pytest.raises(DatabaseUnusable) as caught:
        await migrate(owner, app_url=app_url)
    assert "create extension vector" in (caught.value.hint or "")
    execute(strict.address("postgres", "theirs"), "create extension vector")
    assert "0001_conversations" in await migrate(owner, app_url=app_url)
    async with Database.open(app_url) as database:
        async with database.transaction("a") as conn:
            thread = await threads.create(conn, tenant_id="a", user_id="u")
        async with database.transaction("b") as conn:
            assert await threads.list_recent(conn, user_id="u", limit=1) == []
        async with database.connection() as conn:
            await conn.execute("select * from take_over_runs('w', 1.0, 1)")
        async with database.transaction("a") as conn:
            await threads.delete(conn, thread.thread_id)


async def test_password_changes(strict: EmbeddedPostgres) -> None:
    """A new password in the application's URL is set at the next start; the server sees a hash."""
    owner = strict.address("postgres", "theirs")
    for password in ("first", "second", PASSWORD):
        app_url = address(strict, "parley_app", password)
        await migrate(owner, app_url=app_url)
        with psycopg.connect(app_url):
            pass
    assert "wors" not in (Path(str(strict.socket)).parent / "postgres.log").read_text()


async def test_the_reader_is_admitted_by_its_url(strict: EmbeddedPostgres) -> None:
    """Role parley_reader may log in once a migration got its URL, with the password there."""
    owner = strict.address("postgres", "theirs")
    await migrate(owner)
    for password in ("third", PASSWORD):
        reader_url = address(strict, "parley_reader", password)
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(reader_url)
        await migrate(owner, reader_url=reader_url)
        with psycopg.connect(reader_url) as conn:
            assert conn.execute("select count(*) from reports.orders").fetchone() == (0,)


async def test_unchanged_password_is_left_alone(strict: EmbeddedPostgres) -> None:
    """A password that works already is not set again, so many processes may start at once."""
    owner, app_url = (
        strict.address("postgres", "theirs"),
        address(strict, "parley_app", PASSWORD),
    )
    stored = set()
    for _ in range(2):
        await migrate(owner, app_url=app_url)
        with psycopg.connect(owner) as conn:
            found = conn.execute("select rolpassword from pg_authid where rolname = 'parley_app'")
            stored.add(found.fetchone())
    assert len(stored) == 1


def address(server: EmbeddedPostgres, role: str, password: str) -> str:
    """Return an address with a password, as one writes it into DATABASE_URL."""
    parts = conninfo_to_dict(server.address(role, "theirs"), password=password)
    return psycopg.conninfo.make_conninfo(**{k: str(v) for k, v in parts.items()})


def execute(url: str, *statements: str) -> None:
    """Run statements, each on its own."""
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())
