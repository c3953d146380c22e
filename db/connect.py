"""From settings to an open database: embedded or elsewhere, migrated where that is allowed."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.conninfo import make_conninfo

from core.errors import DatabaseUnavailable
from core.settings import DatabaseSettings
from db.migrate import READER_ROLE, migrate
from db.pool import Database


@asynccontextmanager
async def connect(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Open the database of these settings; what was started for it stops with the block.

    The schema is brought up to date first where an owner's URL is known, as it is for the
    embedded Postgres; otherwise it is only checked.
    Raises the DatabaseUnavailable or DatabaseUnusable of what fails.
    """
    async with addresses(settings) as (url, admin_url):
        if admin_url is not None:
            reader_url = reader_address(settings, url)
            await migrate(admin_url, app_url=url, reader_url=reader_url)
        async with Database.open(
            url,
            min_size=settings.pool_min_size,
            max_size=settings.pool_max_size,
            timeout_seconds=settings.pool_timeout_seconds,
        ) as database:
            yield database


def reader_address(settings: DatabaseSettings, app_url: str) -> str | None:
    """Return the URL of role parley_reader, None where nobody has set one.

    app_url: the URL of the same database as the application sees it.
    """
    if settings.reader_url is not None:
        return settings.reader_url.get_secret_value()
    return make_conninfo(app_url, user=READER_ROLE) if settings.url is None else None


@asynccontextmanager
async def addresses(settings: DatabaseSettings) -> AsyncIterator[tuple[str, str | None]]:
    """Yield (application's URL, owner's URL or None); an embedded server runs meanwhile."""
    if settings.url is not None:
        admin_url = settings.admin_url.get_secret_value() if settings.admin_url else None
        yield settings.url.get_secret_value(), admin_url
        return
    if sys.platform == "win32":
        raise DatabaseUnavailable(
            "The embedded Postgres needs Linux or macOS.",
            hint="Set DATABASE_URL to a Postgres server.",
        )
    from db.embedded import embedded_postgres  # its locks do not even import on Windows

    async with embedded_postgres(settings.folder) as postgres:
        yield postgres.url, postgres.admin_url
