"""db/schema.sql says what the migrations make."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.embedded import EmbeddedPostgres
from db.schema import FILE, describe

# One row per thing, all that tells it from another. Names of schemas are always written out.
CATALOG = {
    "columns": """
        select attrelid::regclass,
               -- its place; dropped columns keep their number
               rank() over (partition by attrelid order by attnum), attname,
               format_type(atttypid, atttypmod), attnotnull,
               attidentity, attgenerated, attcollation::regcollation,
               pg_get_expr(adbin, adrelid), attacl::text
          from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
         where attnum > 0 and not attisdropped and {of(attrelid)}""",
    "relations": """
        select oid::regclass, relkind, relpersistence, relrowsecurity, relforcerowsecurity,
               relacl::text, relowner::regrole, pg_get_partkeydef(oid),
               pg_get_expr(relpartbound, oid), reloptions::text
          from pg_class where relkind not in ('i', 'I') and {of(oid)}""",
    "indexes": "select pg_get_indexdef(indexrelid) from pg_index where {of(indrelid)}",
    "constraints": """
        select conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated
          from pg_constraint where {of(conrelid)}""",
    "policies": """
        select polrelid::regclass, polname, polcmd, polpermissive, polroles::regrole[]::text,
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
          from pg_policy where {of(polrelid)}""",
    "triggers": """
        select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal and {of(tgrelid)}""",
    "functions": """
        select pg_get_functiondef(oid), proowner::regrole, proacl::text
          from pg_proc where pronamespace::regnamespace::text in ('parley', 'reports')""",
    "views": """
        select oid::regclass, pg_get_viewdef(oid)
          from pg_class where relkind = 'v' and {of(oid)}""",
    "comments": """
        select objoid::regclass, objsubid, description
          from pg_description where classoid = 'pg_class'::regclass and {of(objoid)}""",
    "schemas": """
        select nspname, nspacl::text, nspowner::regrole
          from pg_namespace where nspname in ('parley', 'reports')""",
}


@pytest.mark.parametrize("what", CATALOG)
def test_schema_is_the_sum_of_migrations(
    server: EmbeddedPostgres, admin_url: str, what: str
) -> None:
    """A database made from schema.sql and one made by the migrations are the same."""
    name = f"schema_{uuid4().hex}"
    text = FILE.read_text(encoding="utf-8")
    # Roles belong to the server, which has them already.
    text = "\n".join(line for line in text.splitlines() if not line.startswith("CREATE ROLE"))
    with psycopg.connect(server.admin_url, autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        try:
            with psycopg.connect(server.address("postgres", name)) as conn:
                conn.execute(text.encode())
                described = look(conn, what)
        finally:
            admin.execute(f"drop database {name} with (force)".encode())
    with psycopg.connect(admin_url) as conn:
        migrated = look(conn, what)
    assert described == migrated, "run `python -m db schema`"


async def test_schema_is_up_to_date(admin_url: str) -> None:
    """The file is what `python -m db schema` would write."""
    assert FILE.read_text(encoding="utf-8") == await describe(admin_url), (
        "run `python -m db schema`"
    )


def look(conn: psycopg.Connection[Any], what: str) -> list[str]:
    """Return what the catalog says of our things, in an order of its own."""
    conn.execute("set search_path = pg_catalog")
    statement = CATALOG[what]
    for column in ("attrelid", "indrelid", "conrelid", "polrelid", "tgrelid", "objoid", "oid"):
        ours = f"""{column} in (select oid from pg_class
                                 where relnamespace::regnamespace::text in ('parley', 'reports'))"""
        statement = statement.replace(f"{{of({column})}}", ours)
    return sorted(map(str, conn.execute(statement.encode()).fetchall()))
