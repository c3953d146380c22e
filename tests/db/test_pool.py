"""The pool: one tenant a transaction, bounded waits, recovery, and roles it refuses."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import psycopg
import pytest
from pgvector import HalfVector
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from core.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    EmptyInput,
    RoleTooPowerful,
    SchemaOutdated,
)
from db import threads
from db.embedded import EmbeddedPostgres, join
from db.migrate import migrate
from db.pool import Database


@pytest.mark.parametrize("tenant", ["default", "o'clock", "back\\slash'", "'; select 1; --", "Ünï"])
async def test_a_transaction_sees_its_tenant(database: Database, tenant: str) -> None:
    """Inside a transaction the tenant is set, and it is gone afterwards."""
    async with database.transaction(tenant) as conn:
        row = await (await conn.execute("select current_setting('parley.tenant')")).fetchone()
        assert row == (tenant,)
    async with database.connection() as conn:
        row = await (await conn.execute("select current_setting('parley.tenant', true)")).fetchone()
        assert row is not None
        assert not row[0]


async def test_what_ends_well_is_kept(database: Database, tenant: str) -> None:
    """A block that ends well commits."""
    async with database.transaction(tenant) as conn:
        thread = await threads.create(conn, tenant_id=tenant, user_id="u")
    async with database.transaction(tenant) as conn:
        assert await threads.get(conn, thread.thread_id) == thread


async def test_what_fails_is_undone(database: Database, tenant: str) -> None:
    """An error rolls everything back, and passes through as it is."""

    async def fail() -> None:
        async with database.transaction(tenant) as conn:
            await threads.create(conn, tenant_id=tenant, user_id="u")
            raise EmptyInput

    with pytest.raises(EmptyInput):
        await fail()
    async with database.transaction(tenant) as conn:
        assert await threads.list_recent(conn, user_id="u", limit=10) == []


async def test_a_cancelled_transaction_is_undone(database_url: str, tenant: str) -> None:
    """Cancelling a task in the middle of a statement frees its connection."""
    async with Database.open(database_url, min_size=1, max_size=1) as database:
        asleep = asyncio.Event()

        async def sleep() -> None:
            async with database.transaction(tenant) as conn:
                asleep.set()
                await conn.execute("select pg_sleep(600)")

        task = asyncio.create_task(sleep())
        await asleep.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await database.ping()


async def test_the_connection_used_last_is_lent_first(database_url: str) -> None:
    """Its server process knows the index; the others wait until several are wanted at once."""
    async with Database.open(database_url, min_size=3, max_size=3) as database:
        await database.pool.wait()
        seen = set()
        for _ in range(5):
            async with database.connection() as conn:
                seen.add(conn.info.backend_pid)
        assert len(seen) == 1


async def test_a_quiet_connection_is_asked_nothing(
    database_url: str, admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is asked whether it lives only when the server has said something."""
    checks = []
    check = AsyncConnectionPool.check_connection

    async def counting(conn: psycopg.AsyncConnection[TupleRow]) -> None:
        checks.append(conn)
        await check(conn)

    monkeypatch.setattr(AsyncConnectionPool, "check_connection", counting)
    async with Database.open(database_url, min_size=1, max_size=1) as database:
        await database.ping()
        await database.ping()
        assert not checks
        cut(admin_url)
        await database.ping()
        assert checks


async def test_vectors_travel(database: Database, tenant: str) -> None:
    """Vectors go in and come out as such, in a transaction and outside."""
    vector = HalfVector(np.array([1, 2, 3], dtype=np.float32))
    async with database.transaction(tenant) as conn:
        row = await (await conn.execute("select %s::halfvec(3)", [vector])).fetchone()
        assert row is not None
        assert row[0].to_list() == [1, 2, 3]


async def test_every_connection_lent(database_url: str, tenant: str) -> None:
    """When all connections stay lent, the next one in line is told so in time."""
    async with (
        Database.open(database_url, min_size=1, max_size=2, timeout_seconds=0.05) as database,
        database.transaction(tenant),
        database.transaction(tenant),
    ):
        with pytest.raises(DatabaseBusy):
            async with database.transaction(tenant):
                pass


async def test_backends_terminated_while_idle(
    database: Database, admin_url: str, tenant: str
) -> None:
    """When all idle connections were cut, the next transaction succeeds at once."""
    await database.pool.wait()
    async with database.transaction(tenant), database.transaction(tenant):
        pass
    cut(admin_url)
    async with database.transaction(tenant) as conn:
        await conn.execute("select 1")


async def test_backend_terminated_in_the_middle(
    database: Database, admin_url: str, tenant: str
) -> None:
    """A connection cut within a transaction is a typed error; the next transaction succeeds."""

    async def lose() -> None:
        async with database.transaction(tenant) as conn:
            cut(admin_url)
            await conn.execute("select 1")

    with pytest.raises(DatabaseUnavailable):
        await lose()
    await database.ping()


async def test_server_gone_and_back(tmp_path: Path, tenant: str) -> None:
    """While the server is down the error is typed; once it is back everything goes on."""
    folder = tmp_path / "postgres"
    first = await asyncio.to_thread(join, folder, {"fsync": "off"})
    await migrate(first.admin_url)
    async with Database.open(first.url, timeout_seconds=0.5) as database:
        assert first.pid is not None
        process = psutil.Process(first.pid)
        process.send_signal(signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(until_it_fails(database), 60)
        second = await asyncio.to_thread(join, folder, {"fsync": "off"})

        async def works() -> bool:
            try:
                await database.ping()
            except DatabaseUnavailable:
                return False
            return True

        while not await works():
            pass
        async with database.transaction(tenant) as conn:
            await threads.create(conn, tenant_id=tenant, user_id="u")
    second.leave()
    await asyncio.to_thread(first.leave)


async def test_no_server(tmp_path: Path) -> None:
    """An address where nobody answers is a typed error."""
    nowhere = f"postgresql://parley_app@/parley?host={quote(str(tmp_path), safe='')}"
    with pytest.raises(DatabaseUnavailable):
        async with Database.open(nowhere):
            pass


async def test_superuser(admin_url: str) -> None:
    """A superuser is refused, with the settings that help."""
    with pytest.raises(RoleTooPowerful, match="is a superuser") as caught:
        async with Database.open(admin_url):
            pass
    assert "DATABASE_ADMIN_URL" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        ("create role {role} login bypassrls", "may bypass"),
        ("create role {role} login in role powerful", "may bypass"),
        ("create role {role} login in role postgres", "is a superuser"),
    ],
)
async def test_powerful_roles(
    server: EmbeddedPostgres, admin_url: str, make: str, why: str
) -> None:
    """A role that can bypass row-level security is refused, also by membership."""
    name = str(psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"])
    role = f"{name}_role"
    with psycopg.connect(admin_url, autocommit=True) as conn:
        conn.execute(
            """do $$ begin create role powerful bypassrls;
               exception when duplicate_object then null; end $$"""
        )
        conn.execute(make.format(role=role).encode())
        try:
            with pytest.raises(RoleTooPowerful, match=why):
                async with Database.open(server.address(role, name)):
                    pass
        finally:
            conn.execute(f"drop role {role}".encode())


async def test_table_owner(server: EmbeddedPostgres, admin_url: str) -> None:
    """A role that owns one of our tables is refused: it could switch the policies off."""
    name = str(psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"])
    role = f"{name}_owner"
    with psycopg.connect(admin_url, autocommit=True) as conn:
        conn.execute(f"create role {role} login".encode())
        conn.execute(f"alter table parley.turns owner to {role}".encode())
        try:
            with pytest.raises(RoleTooPowerful, match="owns the tables"):
                async with Database.open(server.address(role, name)):
                    pass
        finally:
            conn.execute("alter table parley.turns owner to postgres")
            conn.execute(f"drop owned by {role}; drop role {role}".encode())


async def test_member_of_parley_app(server: EmbeddedPostgres, admin_url: str, tenant: str) -> None:
    """A role of another name that was granted parley_app will do."""
    name = str(psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"])
    role = f"{name}_app"
    with psycopg.connect(admin_url, autocommit=True) as conn:
        conn.execute(f"create role {role} login in role parley_app".encode())
        try:
            async with (
                Database.open(server.address(role, name)) as database,
                database.transaction(tenant) as lent,
            ):
                await threads.create(lent, tenant_id=tenant, user_id="u")
        finally:
            conn.execute(f"drop role {role}".encode())


async def test_empty_database(server: EmbeddedPostgres, admin_url: str) -> None:
    """A database that was never migrated is refused with the command that helps."""
    name = str(psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"]) + "_empty"
    with psycopg.connect(admin_url, autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
        try:
            with pytest.raises(SchemaOutdated, match="python -m db migrate"):
                async with Database.open(server.address("parley_app", name)):
                    pass
        finally:
            conn.execute(f"drop database {name} with (force)".encode())


async def test_outdated_database(admin_url: str, database_url: str) -> None:
    """A database that misses a migration is refused with the command that helps."""
    with psycopg.connect(admin_url) as conn:
        conn.execute("delete from parley.migrations where name like '0001%'")
    with pytest.raises(SchemaOutdated, match="python -m db migrate"):
        async with Database.open(database_url):
            pass


async def test_newer_database(admin_url: str, database_url: str) -> None:
    """A database that a newer version has migrated will do: upgrades roll."""
    with psycopg.connect(admin_url) as conn:
        conn.execute("insert into parley.migrations values ('9999_future', 'x')")
    async with Database.open(database_url) as database:
        await database.ping()


def cut(admin_url: str) -> None:
    """Terminate all connections of the application, and return when they are gone."""
    with psycopg.connect(admin_url, autocommit=True) as conn:
        gone = conn.execute(
            """select bool_and(pg_terminate_backend(pid, 10000)) from pg_stat_activity
                where usename = 'parley_app' and datname = current_database()"""
        )
        assert gone.fetchone() == (True,)


async def until_it_fails(database: Database) -> None:
    """Ask until the database does not answer any more."""
    while True:
        await database.ping()


async def test_who_is_cancelled_gives_its_connection_back(database_url: str, tenant: str) -> None:
    """Also when the pool is busy at that moment: otherwise it had one less for ever."""
    inside, go = asyncio.Event(), asyncio.Event()

    async def use(database: Database) -> None:
        async with database.transaction(tenant):
            inside.set()
            await go.wait()

    async with Database.open(database_url, min_size=1, max_size=1) as database:
        lock = database.pool._lock
        using = asyncio.create_task(use(database))
        await inside.wait()
        async with lock:
            go.set()
            while not lock._waiters:  # noqa: ASYNC110 - of the pool, which tells nobody
                await asyncio.sleep(0.01)
            using.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(using, return_exceptions=True)
        async with database.transaction(tenant) as conn:
            assert await (await conn.execute("select 1")).fetchone() == (1,)


@pytest.mark.parametrize("steps", range(12))
async def test_who_is_cancelled_while_it_waits_for_a_connection_ends(
    database_url: str, steps: int
) -> None:
    """Also when one comes at that moment; whoever closes a loop of queries waits for its end."""

    async def forever(database: Database) -> None:
        while True:
            async with database.connection():
                await asyncio.sleep(0)
            await asyncio.Event().wait()

    async with Database.open(database_url, min_size=1, max_size=1) as database:
        async with database.connection():
            waiting = asyncio.create_task(forever(database))
            while not database.pool._waiting:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0)
        for _ in range(steps):  # of the loop, until the connection has arrived
            await asyncio.sleep(0)
        waiting.cancel()
        done, _ = await asyncio.wait([waiting], timeout=5)
        assert done
        await database.ping()  # the connection is back
