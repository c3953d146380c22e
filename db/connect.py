"""From settings to an open database: embedded or elsewhere, migrated where that is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.settings import DatabaseSettings
from db.embedded import embedded_postgres
from db.migrate import migrate
from db.pool import Database


@asynccontextmanager
async def connect(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Open the database of these settings; what was started for it stops with the block.

    Without a URL this is the embedded Postgres. With an owner's URL beside it the schema is
    brought up to date first; without one it is only checked.
    Raises the DatabaseUnavailable or DatabaseUnusable of what fails.
    """
    if settings.url is None:
        async with embedded_postgres(settings.folder) as postgres:
            await migrate(postgres.admin_url)
            async with _open(postgres.url, settings) as database:
                yield database
        return
    url = settings.url.get_secret_value()
    if settings.admin_url is not None:
        await migrate(settings.admin_url.get_secret_value(), app_url=url)
    async with _open(url, settings) as database:
        yield database


@asynccontextmanager
async def _open(url: str, settings: DatabaseSettings) -> AsyncIterator[Database]:
    async with Database.open(
        url,
        min_size=settings.pool_min_size,
        max_size=settings.pool_max_size,
        timeout_seconds=settings.pool_timeout_seconds,
    ) as database:
        yield database
