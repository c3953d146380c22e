"""python -m db: migrate, look at the database, get its address."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Coroutine
from typing import Annotated

import psycopg
import typer
from psycopg import AsyncConnection

from core.errors import ParleyError, SettingsInvalid
from core.settings import DatabaseSettings
from core.settings import read as read_settings
from db.connect import addresses, reader_address
from db.migrate import SQL, migrate, verify

app = typer.Typer(
    help="The database.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables, hence passwords
)


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to the schema of this version."""

    async def work() -> None:
        async with addresses(_settings()) as (url, admin_url):
            if admin_url is None:
                raise SettingsInvalid(
                    "Only an owner may migrate.",
                    hint="Set DATABASE_ADMIN_URL to the same database with its owner's role.",
                )
            reader_url = reader_address(_settings(), url)
            applied = await migrate(admin_url, app_url=url, reader_url=reader_url)
        print("\n".join(f"applied {name}" for name in applied) or "up to date")

    _run(work())


@app.command()
def status() -> None:
    """Say which server this is and whether its schema is current."""

    async def work() -> None:
        async with (
            addresses(_settings()) as (url, admin_url),
            # Before the first migration the application's role may not exist.
            await AsyncConnection.connect(admin_url or url, autocommit=True) as conn,
        ):
            await verify(conn)
            print(f"Postgres {conn.info.parameter_status('server_version')}, schema is current")
            async with conn.cursor() as cursor:
                await cursor.execute(SQL["applied"])
                for name, _digest in sorted(await cursor.fetchall()):
                    print(f"  {name}")

    _run(work())


@app.command()
def url(
    admin: Annotated[bool, typer.Option(help="As the owner, who sees all tenants.")] = False,
) -> None:
    """Print the database's address and keep an embedded server running until Enter or Ctrl-C.

    For psql, pg_dump and friends.
    """

    async def work() -> None:
        async with addresses(_settings()) as (app_url, admin_url):
            address = admin_url if admin else app_url
            if address is None:
                raise SettingsInvalid("DATABASE_ADMIN_URL is not set.")
            print(address, flush=True)
            if _settings().url is None:
                await _enter()

    _run(work())


@app.command("schema")
def schema_command() -> None:
    """Write db/schema.sql anew from the migrations, in a server of its own."""

    from db import schema  # for developers, who do not use Windows; see db.connect

    async def work() -> None:
        print(f"wrote {await schema.write()}")

    _run(work())


async def _enter() -> None:
    """Return when somebody presses Enter; a thread of asyncio's own would outlast Ctrl-C."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(pressed.set)

    threading.Thread(target=read, daemon=True).start()
    await pressed.wait()


def _settings() -> DatabaseSettings:
    return read_settings().database


def _run(work: Coroutine[None, None, None]) -> None:
    try:
        asyncio.run(work)
    except (ParleyError, psycopg.OperationalError) as error:
        hint = getattr(error, "hint", None)
        raise SystemExit(f"{error}\n{hint}" if hint else str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    app()
