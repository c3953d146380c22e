"""No tenant sees, changes or reaches another tenant's rows, in any table there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection, sql
from psycopg.errors import (
    ForeignKeyViolation,
    InsufficientPrivilege,
    InvalidAuthorizationSpecification,
)

from db import threads
from db.pool import Database

SHARED = {"migrations"}  # tables of ours that belong to nobody
# What the application cannot write, and what it cannot even read: a function does that for it.
SEALED = {"audit_log", "audit_heads"}
HIDDEN = {"audit_heads"}
SWEPT = {"runs", "approvals", "notices", "turns"}
# A value of each type that a column has; a new type needs a new line.
VALUES = {
    "text": "'x'",
    "uuid": "gen_random_uuid()",
    "integer": "1",
    "bigint": "1",
    "smallint": "1",
    "numeric": "1",
    "date": "now()",
    "real": "1",
    "boolean": "true",
    "jsonb": "'{}'",
    "bytea": "'x'",
    "xid8": "'1'",
    "text[]": "'{}'",
    "uuid[]": "'{}'",
    "bigint[]": "'{}'",
    "timestamp with time zone": "now()",
    "halfvec(384)": "array_fill(0.1, array[384])::halfvec(384)",
}


@pytest.fixture
async def tables(admin_url: str) -> AsyncIterator[list[str]]:
    """Every table of ours, by the catalog, holding one row of tenant `a` and one of `b`."""
    async with await AsyncConnection.connect(admin_url, autocommit=True) as conn:
        await conn.execute("set search_path = parley, checkpoints, public")
        await conn.execute("set session_replication_role = replica")  # rows without what they need
        names = [name for (name,) in await all_of(conn, TABLES) if name not in SHARED]
        for (statement,) in await all_of(conn, DROP_CHECKS):
            await conn.execute(statement)
        for name in names:
            for tenant in ("a", "b"):
                await insert(conn, name, tenant)
        yield names


async def test_there_are_tables(tables: list[str]) -> None:
    """The tests below look at something."""
    assert {"threads", "runs", "messages", "run_events", "turns", "chunks"} <= set(tables)


async def test_every_table_is_protected(admin_url: str, tables: list[str]) -> None:
    """Every table of ours has a tenant that may not be null, and forced row-level security."""
    async with await AsyncConnection.connect(admin_url) as conn:
        found = {
            name: (secured, forced, policy, not_null)
            for name, secured, forced, policy, not_null in await all_of(conn, PROTECTION)
        }
    for name in tables:
        assert found[name] == (True, True, True, True), name


async def test_rights_are_narrow(admin_url: str) -> None:
    """The application may read and write rows of our tables and nothing else; others nothing."""
    async with await AsyncConnection.connect(admin_url) as conn:
        grants = await all_of(conn, GRANTS)
    of_app = {(table, right) for table, grantee, right in grants if grantee == "parley_app"}
    assert {right for _, right in of_app} <= {"SELECT", "INSERT", "UPDATE", "DELETE", "USAGE"}
    assert {right for table, right in of_app if table == "migrations"} == {"SELECT"}
    assert {right for table, right in of_app if table == "audit_log"} == {"SELECT"}
    assert {right for table, right in of_app if table == "audit_heads"} == set()
    others = {grant for grant in grants if grant[1] != "parley_app"}
    assert others == {
        ("runs", "parley_sweeper", "SELECT"),
        ("notices", "parley_sweeper", "SELECT"),
        ("audit_log", "parley_auditor", "SELECT"),
        ("audit_log", "parley_auditor", "INSERT"),
        ("audit_heads", "parley_auditor", "SELECT"),
        ("audit_heads", "parley_auditor", "INSERT"),
        ("audit_heads", "parley_auditor", "UPDATE"),
    }


async def test_a_tenant_sees_its_own_rows(database: Database, tables: list[str]) -> None:
    """In every table that it may read a tenant reads its own row alone."""
    async with database.transaction("a") as conn:
        for name in tables:
            if name not in HIDDEN:
                found = await all_of(conn, "select tenant_id from {}", name)
                assert found == [("a",)], name
    for name in HIDDEN:
        with pytest.raises(InsufficientPrivilege, match="permission denied"):
            await within(database, "a", sql.SQL("select from {}").format(sql.Identifier(name)))


async def test_a_tenant_cannot_change_others(database: Database, tables: list[str]) -> None:
    """In every table an update or delete without a condition touches the tenant's rows alone."""
    open_ones = [name for name in tables if name not in SEALED]
    async with database.transaction("a") as conn:
        for name in open_ones:
            table = sql.Identifier(name)
            update = sql.SQL("update {} set tenant_id = tenant_id").format(table)
            assert (await conn.execute(update)).rowcount == 1, name
        for name in reversed(open_ones):
            delete = sql.SQL("delete from {} where tenant_id = 'b'").format(sql.Identifier(name))
            assert (await conn.execute(delete)).rowcount == 0, name


async def test_a_tenant_cannot_change_the_log(database: Database, tables: list[str]) -> None:
    """The audit log and its ends cannot be written at all, not even a tenant's own."""
    assert set(tables) >= SEALED
    for name in SEALED:
        for statement in (
            "update {} set tenant_id = tenant_id",
            "delete from {}",
            "truncate {}",
            "select from {} for update",
        ):
            with pytest.raises(InsufficientPrivilege, match="permission denied"):
                await within(database, "a", sql.SQL(statement).format(sql.Identifier(name)))


async def test_a_tenant_cannot_write_for_others(database: Database, tables: list[str]) -> None:
    """In every table a row of another tenant can neither be inserted nor be handed over."""
    for name in tables:
        with pytest.raises(InsufficientPrivilege, match=refusal(name)):
            async with database.transaction("a") as conn:
                await insert(conn, name, "b")
        hand_over = sql.SQL("update {} set tenant_id = 'b'").format(sql.Identifier(name))
        with pytest.raises(InsufficientPrivilege, match=refusal(name)):
            await within(database, "a", hand_over)


@pytest.mark.parametrize("tenant", [None, ""])
async def test_without_a_tenant(database: Database, tables: list[str], tenant: str | None) -> None:
    """Without a tenant, or with an empty one, there are no rows and none can be made."""
    for name in tables:
        async with database.connection() as conn:
            if tenant is not None:
                await conn.execute("select set_config('parley.tenant', '', false)")
            if name not in HIDDEN:
                assert await all_of(conn, "select from {}", name) == [], name
            with pytest.raises(InsufficientPrivilege, match=refusal(name)):
                await insert(conn, name, "")


async def test_a_prepared_statement_follows_the_tenant(database_url: str) -> None:
    """A plan made for one tenant does not answer for another."""
    async with Database.open(database_url, min_size=1, max_size=1) as database:
        for tenant in ("a", "b") * 8:
            async with database.transaction(tenant) as conn:
                await threads.create(conn, tenant_id=tenant, user_id=tenant)
                found = await conn.execute("select distinct user_id from threads", prepare=True)
                assert await found.fetchall() == [(tenant,)]


async def test_a_row_cannot_be_attached_to_a_foreign_thread(database: Database) -> None:
    """Another tenant's thread looks as if it did not exist, also to references."""
    async with database.transaction("b") as conn:
        thread = await threads.create(conn, tenant_id="b", user_id="u")
    statement = sql.SQL(
        """insert into runs (tenant_id, run_id, thread_id, user_id, status, input, lease_owner,
                             lease_expires_at)
           values ('a', gen_random_uuid(), {}, 'u', 'running', '{{}}', 'w', now())"""
    ).format(thread.thread_id)
    with pytest.raises(ForeignKeyViolation):
        await within(database, "a", statement)


async def test_ways_around(database: Database) -> None:
    """What would lead around row-level security is refused."""
    for statement in WAYS_AROUND:
        try:
            await within(database, "a", sql.SQL(statement))
        except (InsufficientPrivilege, InvalidAuthorizationSpecification):
            continue
        pytest.fail(f"this was allowed: {statement}")


async def test_reset_role(database: Database, tables: list[str]) -> None:
    """Resetting the role leads back to the role of the connection, which sees no more."""
    for statement in ("reset role", "reset session authorization", "reset row_security"):
        async with database.transaction("a") as conn:
            await conn.execute(sql.SQL(statement))
            assert await all_of(conn, "select tenant_id from {}", "threads") == [("a",)]


async def test_a_temporary_table_does_not_mislead(database: Database, tables: list[str]) -> None:
    """A table of the same name in the session's own schema is not what our functions use."""
    async with database.transaction("a") as conn:
        await conn.execute(
            """create temporary table runs (like parley.runs);
               grant all on pg_temp.runs to public;
               insert into pg_temp.runs select * from parley.runs"""
        )
        await conn.execute(
            "update pg_temp.runs set status = 'running', lease_expires_at = '-infinity'"
        )
        await conn.execute("update parley.runs set status = 'failed'")
        assert await all_of(conn, "select * from take_over_runs('me', 1, 9)") == []


async def test_the_sweeper_sees_what_is_due_alone(admin_url: str, tables: list[str]) -> None:
    """The role behind the functions that cross tenants can keep leases and find what is due."""
    async with await AsyncConnection.connect(admin_url, autocommit=True) as conn:
        await conn.execute("set search_path = parley")
        await conn.execute("set role parley_sweeper")
        for name in (*tables, *SHARED):
            if name not in SWEPT:
                with pytest.raises(InsufficientPrivilege):
                    await all_of(conn, "select from {}", name)
        for name in SWEPT:
            for statement in (
                "update {} set tenant_id = 'a'",
                "delete from {}",
                "insert into {} default values",
                "truncate {}",
            ):
                with pytest.raises(InsufficientPrivilege):
                    await all_of(conn, statement, name)
        for statement in (
            "update runs set input = '{}'",
            "update approvals set status = 'approved'",
            "update notices set body = '{}'",
            "update turns set outcome = 'answered'",
            "select packed from turns",
            *(f"select {column} from approvals" for column in ("arguments", "evidence", "digest")),
        ):
            with pytest.raises(InsufficientPrivilege):
                await conn.execute(statement.encode())


async def test_the_auditor_appends_alone(admin_url: str, tables: list[str]) -> None:
    """The role behind the audit log sees nothing else, and cannot change an entry."""
    async with await AsyncConnection.connect(admin_url, autocommit=True) as conn:
        await conn.execute("set search_path = parley")
        await conn.execute("set role parley_auditor")
        for name in (*tables, *SHARED):
            if name not in SEALED:
                with pytest.raises(InsufficientPrivilege):
                    await all_of(conn, "select from {}", name)
        for statement in (
            "update audit_log set actor = 'nobody'",
            "delete from audit_log",
            "truncate audit_log",
            "delete from audit_heads",
            "truncate audit_heads",
        ):
            with pytest.raises(InsufficientPrivilege):
                await conn.execute(sql.SQL(statement))


def refusal(table: str) -> str:
    """Return what says that a tenant may not write a row there."""
    return "permission denied" if table in SEALED else "row-level security"


async def within(database: Database, tenant: str, statement: sql.SQL | sql.Composed) -> None:
    """Run one statement in a transaction of its own."""
    async with database.transaction(tenant) as conn:
        await conn.execute(statement)


async def insert(conn: AsyncConnection[Any], table: str, tenant: str) -> None:
    """Insert a row made up from the types of the columns that have no default."""
    columns = [(name, VALUES[kind]) for name, kind in await all_of(conn, COLUMNS, value=table)]
    statement = sql.SQL("insert into {} (tenant_id, {}) values ({}, {})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        tenant,
        sql.SQL(", ").join(sql.SQL(value) for _, value in columns),
    )
    await conn.execute(statement)


async def all_of(
    conn: AsyncConnection[Any],
    statement: str,
    table: str | None = None,
    *,
    value: str | None = None,
) -> list[Any]:
    """Return the rows of a query."""
    composed = sql.SQL(statement)
    query = composed.format(sql.Identifier(table)) if table else composed
    cursor = await conn.execute(query, None if value is None else {"value": value})
    return await cursor.fetchall() if cursor.description is not None else []


WAYS_AROUND = [
    "set role postgres",
    "set role parley_sweeper",
    "set role parley_auditor",
    "select * from audit_tenants()",
    "alter table audit_log disable trigger all",
    "set session authorization postgres",
    "set local row_security = off; select * from threads",
    "alter table threads disable row level security",
    "alter table threads no force row level security",
    "drop policy tenant on threads",
    "create policy mine on threads using (true)",
    "alter role parley_app bypassrls",
    "create role mine superuser",
    "grant postgres to parley_app",
    "alter function take_over_runs owner to parley_app",
    "create function parley.mine() returns text language sql security definer as $$select ''$$",
    "create function public.mine() returns text language sql security definer as $$select ''$$",
    "create table parley.mine (i int)",
    "create table public.mine (i int)",
    "create view parley.mine as select * from threads",
    "create trigger mine before insert on threads for each row execute function mine()",
    "create schema mine",
    "truncate threads",
    "select * from chunks_0",
    "insert into chunks_0 default values",
    "select protect('threads')",
    "copy threads to '/tmp/mine'",
    "copy threads to program 'cat'",
    "select pg_read_file('PG_VERSION')",
    "select lo_import('/etc/passwd')",
    "select * from pg_authid",
    "set session_replication_role = replica",
    "update runs set lease_owner = 'x' from pg_authid",
]
TABLES = """
select relname::text from pg_class
 where relnamespace = 'parley'::regnamespace and relkind in ('r', 'p') and not relispartition
 order by oid
"""
COLUMNS = """
select attname::text, format_type(atttypid, atttypmod)
  from pg_attribute
 where attrelid = ('parley.' || %(value)s)::regclass and attnum > 0 and not attisdropped
   and attnotnull and not atthasdef and attidentity = '' and attname <> 'tenant_id'
 order by attnum
"""
DROP_CHECKS = """
select format('alter table %s drop constraint %I', conrelid::regclass, conname)
  from pg_constraint where contype = 'c' and connamespace = 'parley'::regnamespace
   and coninhcount = 0
"""
PROTECTION = """
select c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
       exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant'
                  and p.polcmd = '*' and p.polroles = '{0}'
                  and pg_get_expr(p.polqual, p.polrelid)
                      like '(tenant_id = NULLIF(current_setting(''parley.tenant''%'
                  and pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))
       and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname <> 'tenant'
                          and p.polroles <> array['parley_sweeper'::regrole::oid]
                          -- the end of every log, for the owner who verifies them
                          and (p.polname, p.polrelid, p.polcmd, p.polroles) is distinct from
                              ('list', 'parley.audit_heads'::regclass, 'r',
                               array['parley_auditor'::regrole::oid])),
       exists (select from pg_attribute a
                where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull)
  from pg_class c
 where c.relnamespace = 'parley'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
"""
GRANTS = """
select c.relname::text, coalesce(g.grantee::regrole::text, ''), g.privilege_type
  from pg_class c, aclexplode(c.relacl) g
 where c.relnamespace = 'parley'::regnamespace and g.grantee <> c.relowner
"""
