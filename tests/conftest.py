"""Real Postgres for every test: one server a session, one clone of a migrated database a test."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import sql

from db.embedded import EmbeddedPostgres, join
from db.migrate import migrate
from db.pool import Database
from embeddings.minilm import MiniLM

T = TypeVar("T")

# A shell ignores Ctrl-C for what it starts in the background, and processes pass that on to
# theirs: those that a test interrupts would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)

TEMPLATE = "template"
# Tests of others need no database that survives a power cut; the launcher's own tests do not
# use this server.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One embedded Postgres, shared by all workers of pytest-xdist, with a migrated template."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    postgres = join(folder / "postgres", _FAST)
    try:
        with psycopg.connect(postgres.admin_url, autocommit=True) as conn:
            conn.execute("select pg_advisory_lock(1)")
            found = conn.execute("select from pg_database where datname = %s", [TEMPLATE])
            if found.fetchone() is None:
                conn.execute("create database in_the_making")
                run_apart(migrate(postgres.address("postgres", "in_the_making")))
                conn.execute("alter database in_the_making rename to template")
        yield postgres
    finally:
        postgres.leave()


@pytest.fixture
def admin_url(server: EmbeddedPostgres) -> Iterator[str]:
    """Owner's URL of a fresh clone of the migrated template; dropped after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    identifier, template = sql.Identifier(name), sql.Identifier(TEMPLATE)
    with psycopg.connect(server.admin_url, autocommit=True) as conn:
        conn.execute(sql.SQL("create database {} template {}").format(identifier, template))
    yield server.address("postgres", name)
    with psycopg.connect(server.admin_url, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(identifier))


@pytest.fixture
def database_url(server: EmbeddedPostgres, admin_url: str) -> str:
    """The same database as role parley_app."""
    name = psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"]
    return server.address("parley_app", str(name))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A Database open on a fresh clone."""
    async with Database.open(database_url) as opened:
        yield opened


@pytest.fixture
def tenant() -> str:
    """The tenant that everybody belongs to until there are accounts."""
    return "default"


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own, in a thread that has none yet."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def embedder() -> Iterator[MiniLM]:
    """The embedding model, loaded once a session."""
    model = MiniLM.load()
    yield model
    model.close()
