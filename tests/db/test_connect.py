"""From settings to an open database."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from core.errors import RoleTooPowerful, SchemaOutdated
from core.settings import DatabaseSettings
from db import threads
from db.connect import connect
from db.embedded import EmbeddedPostgres


async def test_embedded(tmp_path: Path, tenant: str) -> None:
    """Without a URL a folder is enough: server, roles and schema come by themselves, and stay."""
    settings = DatabaseSettings(folder=tmp_path / "in" / "postgres", url=None)
    async with connect(settings) as database, database.transaction(tenant) as conn:
        thread = await threads.create(conn, tenant_id=tenant, user_id="u")
    async with connect(settings) as database, database.transaction(tenant) as conn:
        assert await threads.get(conn, thread.thread_id) == thread


async def test_both_urls(server: EmbeddedPostgres, tenant: str) -> None:
    """With an owner's URL beside the application's the schema is made first."""
    with psycopg.connect(server.admin_url, autocommit=True) as admin:
        admin.execute("create database both_urls")
        settings = DatabaseSettings(
            url=SecretStr(server.address("parley_app", "both_urls")),
            admin_url=SecretStr(server.address("postgres", "both_urls")),
        )
        async with connect(settings) as database, database.transaction(tenant) as conn:
            await threads.create(conn, tenant_id=tenant, user_id="u")
        admin.execute("drop database both_urls with (force)")


async def test_url_alone(database_url: str, admin_url: str) -> None:
    """With the application's URL alone the schema is only checked."""
    settings = DatabaseSettings(url=SecretStr(database_url))
    async with connect(settings) as database:
        await database.ping()
    with psycopg.connect(admin_url) as conn:
        conn.execute("delete from parley.migrations where name like '0001%'")
    with pytest.raises(SchemaOutdated):
        async with connect(settings):
            pass


async def test_url_of_an_owner_alone(admin_url: str) -> None:
    """An owner's URL in the application's place is refused, with what to do."""
    with pytest.raises(RoleTooPowerful) as caught:
        async with connect(DatabaseSettings(url=SecretStr(admin_url))):
            pass
    assert "DATABASE_ADMIN_URL" in (caught.value.hint or "")
