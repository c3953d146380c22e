"""A database, a remote server and workers that may die, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from db.pool import Database
from tests.faults.crew import Crew, Nursery, nursing
from tests.faults.remote import Remote
from tests.faults.story import Stage
from tests.faults.world import EFFECTS


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """The process that workers are forked from: importing takes longer than a test."""
    with nursing(tmp_path_factory.mktemp("faults") / "workers.log") as found:
        yield found


@pytest.fixture
def remote() -> Iterator[Remote]:
    """The server that tools have effects on."""
    with Remote() as server:
        yield server


@pytest.fixture
def effects(admin_url: str) -> str:
    """The owner's URL of a database with a table that a tool has effects on."""
    with psycopg.connect(admin_url, autocommit=True) as conn:
        conn.execute(EFFECTS)
    return admin_url


@pytest.fixture
async def stage(
    nursery: Nursery, remote: Remote, effects: str, database_url: str, database: Database
) -> AsyncIterator[Stage]:
    """All of it together."""
    async with (
        await psycopg.AsyncConnection.connect(effects, autocommit=True) as owner,
        Crew.of(nursery, database_url, remote.url) as crew,
    ):
        yield Stage(crew, database, remote, owner)
