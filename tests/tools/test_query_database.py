"""Questions in SQL see one tenant, change nothing, end in time, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, sql

from core.errors import DatabaseUnavailable, RoleTooPowerful
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.pool import Database
from tools import query_database
from tools.query_database import Limits, Reports
from tools.registry import Registry
from tools.shop.sample import load_sample
from tools.tool import Caller, TryDifferently

ANN = Caller("default", "ann")
QUICK = Limits(seconds=0.3, rows=5, characters=300, cell_characters=20)
FINE = "select count(*) as n from orders"


@pytest.fixture
async def reader_url(server: EmbeddedPostgres, admin_url: str, database: Database) -> str:
    """The database as role parley_reader, with sample orders of the default tenant."""
    name = psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"]
    url = server.address("parley_reader", str(name))
    await migrate(admin_url, reader_url=url)
    async with database.transaction("default") as conn:
        await load_sample(conn, tenant_id="default")
    return url


@pytest.fixture
async def reports(reader_url: str) -> Reports:
    """Questions with tight limits."""
    return await Reports.open(reader_url, QUICK)


async def test_a_question_is_answered_as_csv(reports: Reports) -> None:
    """With the names of columns, the number of rows, and text quoted where it must be."""
    text = await reports.ask(
        "select status, count(*), sum(total_cents) as cents, 'a,b' as t from orders "
        "group by status order by 1 limit 2",
        tenant_id="default",
    )
    assert text == 'status,count,cents,t\ncancelled,1,7950,"a,b"\ndelivered,3,74530,"a,b"\n[2 rows]'


async def test_each_view_can_be_asked(reports: Reports) -> None:
    """The views are those that the role may read, with their columns for the model."""
    assert [view.name for view in reports.views] == ["order_lines", "orders", "refunds", "tickets"]
    assert "total_cents bigint" in str(reports.views[1])
    for view in reports.views:
        assert view.about
        text = await reports.ask(f"select count(*) from {view.name}", tenant_id="default")
        assert text.splitlines()[1] != "0"


async def test_a_tenant_sees_its_own_rows(reports: Reports) -> None:
    """Another tenant's question finds nothing, and so does one without a tenant."""
    for view in reports.views:
        for tenant in ("other", ""):
            text = await reports.ask(f"select count(*) from {view.name}", tenant_id=tenant)
            assert text == "count\n0\n[1 row]"


async def test_no_question_sees_through_a_view(reports: Reports) -> None:
    """A condition that fails on a row of another tenant never gets to see it."""
    question = "select 1 from orders where cast(customer as int) = 1"
    assert await reports.ask(question, tenant_id="other") == "?column?\n[0 rows]"
    with pytest.raises(TryDifferently, match="invalid input syntax"):
        await reports.ask(question, tenant_id="default")


async def test_long_answers_are_cut(reports: Reports) -> None:
    """Rows, characters and cells have a limit, and the answer says that there is more."""
    many = await reports.ask("select 1 as x from orders", tenant_id="default")
    assert many == "x\n" + "1\n" * 5 + "[… there is more; these are the first 5 rows]"
    wide = await reports.ask("select body from tickets", tenant_id="default")
    assert wide == "body\nThe customer asks wh…\n[1 row]"
    question = "select " + ", ".join(["customer"] * 9) + " from orders"
    long = await reports.ask(question, tenant_id="default")
    assert long.endswith("these are the first 2 rows]")


BOMBS = {
    "cross join": "select count(*) from " + ", ".join(f"order_lines a{n}" for n in range(12)),
    "sorted cross join": (
        "select * from "
        + ", ".join(f"order_lines a{n}" for n in range(7))
        + " order by 1, 5, 9, 13"
    ),
    "distinct": (
        "select count(*) from (select distinct * from "
        + ", ".join(f"order_lines a{n}" for n in range(8))
        + ") x"
    ),
}


@pytest.mark.parametrize("question", BOMBS.values(), ids=BOMBS)
async def test_row_21_a_bomb_is_cancelled(reports: Reports, question: str) -> None:
    """Fault 21: it ends at the limit of time or room, and the next question is not affected."""
    with pytest.raises(TryDifferently, match=r"did not end|too much room"):
        await reports.ask(question, tenant_id="default")
    assert await reports.ask(FINE, tenant_id="default") == "n\n10\n[1 row]"


async def test_room_for_sorting_is_limited(reader_url: str) -> None:
    """A sort that outgrows memory may fill little of the disk, and a session cannot change that."""
    patient = await Reports.open(reader_url, Limits(seconds=60))
    with pytest.raises(TryDifferently, match="too much room"):
        await patient.ask(BOMBS["sorted cross join"], tenant_id="default")
    async with await AsyncConnection.connect(reader_url, autocommit=True) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute("set temp_file_limit = '1TB'")


@pytest.mark.parametrize("how", ["time", "cancelled"])
async def test_the_client_ends_what_the_server_does_not(
    reader_url: str, admin_url: str, how: str
) -> None:
    """When the server's own limit does not hold, the client cancels and the server is idle."""
    limits = Limits(seconds=3600, grace_seconds=-3599.7 if how == "time" else 0)
    reports = await Reports.open(reader_url, limits)
    task = asyncio.create_task(reports.ask(BOMBS["cross join"], tenant_id="default"))
    async with await AsyncConnection.connect(admin_url, autocommit=True) as admin:
        if how == "cancelled":
            await until(lambda: busy(admin))
            task.cancel()
        with pytest.raises(TryDifferently if how == "time" else asyncio.CancelledError):
            await task
        await until(lambda: idle(admin))


async def test_row_21_a_question_leaves_nothing_behind(reader_url: str, reports: Reports) -> None:
    """Whatever a session does is gone with it: each question has a connection of its own."""
    async with await AsyncConnection.connect(reader_url, autocommit=True) as conn:
        await conn.execute("set statement_timeout = 0")
        await conn.execute("select pg_advisory_lock(1)")
    for question in ("select 1 / 0", "select * from orders where x = 1"):
        with pytest.raises(TryDifferently):
            await reports.ask(question, tenant_id="default")
    assert await reports.ask(FINE, tenant_id="other") == "n\n0\n[1 row]"


# What the role may not do even where the parser lets it pass; refused by the server itself.
FORBIDDEN = [
    "insert into reports.orders (order_id) values ('x')",
    "delete from reports.orders",
    "select * from parley.orders",
    "select * from parley.threads",
    "select * from checkpoints.checkpoints",
    "select * from jobs.procrastinate_jobs",
    "select * from pg_authid",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select lo_import('/etc/passwd')",
    "copy (select 1) to program 'id'",
    "copy (select 1) to '/tmp/x'",
    "create table reports.x (a int)",
    "create table public.x (a int)",
    "create schema x",
    "create extension dblink",
    "create role x",
    "set role postgres",
    "set role parley_app",
    "set session authorization postgres",
    "alter role parley_reader superuser",
    "alter system set work_mem = '1GB'",
    "create or replace view reports.orders as select 1",
    "create function reports.tenant() returns text language sql return 'other'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_role_may_read_its_views_and_nothing_else(
    reader_url: str, statement: str
) -> None:
    """Also in a session that has switched off being read-only."""
    async with await AsyncConnection.connect(reader_url, autocommit=True) as conn:
        await conn.execute("set default_transaction_read_only = off")
        with pytest.raises(
            (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.FeatureNotSupported,  # a view with sums takes no rows
                psycopg.errors.ObjectNotInPrerequisiteState,
            )
        ):
            await conn.execute(sql.SQL(statement))


async def test_one_statement_goes_over_the_wire(reader_url: str, reports: Reports) -> None:
    """Even a text that was never parsed runs as one SELECT of a read-only transaction, or not."""
    for statement in (
        "select 1; select 2",
        "set statement_timeout = 0",
        "with x as (delete from reports.orders returning 1) select * from x",
        "insert into reports.orders values (1)",
    ):
        with pytest.raises(psycopg.Error):
            await reports._answer(statement, "default")


async def test_a_role_that_may_more_is_refused(database_url: str, admin_url: str) -> None:
    """Questions are not answered as the application or the owner; a dead server is told."""
    with pytest.raises(RoleTooPowerful, match="reaches the tables themselves"):
        await Reports.open(database_url)
    with pytest.raises(RoleTooPowerful, match="is a superuser"):
        await Reports.open(admin_url)
    with pytest.raises(DatabaseUnavailable):
        await Reports.open("postgresql://parley_reader@/x?host=/nowhere")


async def test_nobody_is_admitted_unasked(server: EmbeddedPostgres, admin_url: str) -> None:
    """A password works for this role only once a migration was given it, and only for it."""
    async with await AsyncConnection.connect(admin_url) as conn:
        row = await (
            await conn.execute(
                "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolconnlimit "
                "from pg_roles where rolname = 'parley_reader'"
            )
        ).fetchone()
        assert row == (False, False, False, False, 8)
        await conn.rollback()
    await migrate(admin_url, reader_url=server.address("parley_sweeper"))
    async with await AsyncConnection.connect(admin_url) as conn:
        cursor = await conn.execute(
            "select rolcanlogin from pg_roles where rolname = 'parley_sweeper'"
        )
        assert await cursor.fetchone() == (False,)


async def test_the_tool_answers_for_its_caller(reports: Reports) -> None:
    """It reads what is private and what strangers wrote, says so, and never fails for a typo."""
    tool = query_database.tool(reports)
    registry = Registry([tool])
    outcome = await registry.call("query_database", {"sql": FINE}, ANN, key="k")
    assert (outcome.status, outcome.sources) == ("ok", ("database:reports",))
    typo = await registry.call("query_database", {"sql": "select x from orders"}, ANN, key="k")
    assert typo.code == "tool_refused"
    assert typo.text == 'column "x" does not exist'
    assert tool.declaration.reads_private
    assert tool.declaration.reads_untrusted
    assert "orders(order_id text" in tool.description


async def busy(admin: AsyncConnection[Any]) -> bool:
    """Return whether a question is being answered in this database."""
    cursor = await admin.execute(
        "select from pg_stat_activity where usename = 'parley_reader' and state = 'active' "
        "and datname = current_database()"
    )
    return await cursor.fetchone() is not None


async def idle(admin: AsyncConnection[Any]) -> bool:
    """Return whether none is."""
    return not await busy(admin)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once a condition holds; the test's own time limit is the only other end."""
    while not await condition():  # noqa: ASYNC110 - it is in the database
        await asyncio.sleep(0.01)
