"""python -m db: migrate, look at the database, get its address, check the audit log."""

from __future__ import annotations

import asyncio
import json
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
from db import audit
from db.connect import addresses, reader_address
from db.migrate import SQL, migrate, verify

app = typer.Typer(
    help="The database.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables, hence passwords
)
audit_app = typer.Typer(help="The audit log.", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(audit_app, name="audit")


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


@audit_app.command("verify")
def verify_command(
    tenant: Annotated[str | None, typer.Option(help="Whose log; else every one.")] = None,
    anchor: Annotated[
        str | None, typer.Option(help="SEQ:HASH that was noted before; shows a cut end.")
    ] = None,
) -> None:
    """Recompute the chain of hashes, and print an anchor to note elsewhere; 1 at a fault."""
    noted = _anchor(anchor)
    if noted is not None and tenant is None:
        raise SystemExit("An anchor belongs to one log: say whose with --tenant.")

    async def work() -> None:
        faults = 0
        async with addresses(_settings()) as (url, admin_url):
            for name in await _tenants(tenant, admin_url):
                async with audit.snapshot(url, name) as conn:
                    verdict = await audit.verify(conn, anchor=noted)
                faults += bool(verdict.fault)
                end = verdict.fault or f"the chain holds, anchor {verdict.head or 'none yet'}"
                print(f"{name}: {verdict.entries} entries, {end}")
        if faults:
            raise SystemExit(1)

    _run(work())


@audit_app.command("show")
def show_command(
    tenant: Annotated[str | None, typer.Option(help="Whose log; else every one.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about this call or run.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only entries above this number.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Print the entries, oldest first."""

    async def work() -> None:
        async with addresses(_settings()) as (url, admin_url):
            for name in await _tenants(tenant, admin_url):
                async with audit.snapshot(url, name) as conn:
                    last = after
                    while page := await audit.entries(conn, after=last, subject=subject):
                        last = page[-1].seq
                        for entry in page:
                            print(_line(name, entry, as_json=as_json))

    _run(work())


def _line(tenant: str, entry: audit.Entry, *, as_json: bool) -> str:
    """Return an entry as a person or a program reads it."""
    details = json.dumps(entry.details, ensure_ascii=False, sort_keys=True)
    if not as_json:
        at = f"{entry.at:%Y-%m-%d %H:%M:%S}"
        return f"{tenant} {entry.seq} {at} {entry.kind} {entry.actor} {entry.subject} {details}"
    fields = {
        "tenant": tenant,
        "seq": entry.seq,
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "actor": entry.actor,
        "subject": entry.subject,
        "details": entry.details,
        "hash": entry.hash.hex(),
    }
    return json.dumps(fields, ensure_ascii=False)


def _anchor(text: str | None) -> audit.Anchor | None:
    try:
        return None if text is None else audit.Anchor.parse(text)
    except ValueError as error:
        raise SystemExit("An anchor is SEQ:HASH, as `audit verify` prints it.") from error


async def _tenants(tenant: str | None, admin_url: str | None) -> list[str]:
    """Return whose logs are meant."""
    if tenant is not None:
        return [tenant]
    if admin_url is None:
        raise SettingsInvalid(
            "Only an owner may know whose logs there are.",
            hint="Name a tenant with --tenant, or set DATABASE_ADMIN_URL.",
        )
    return await audit.tenants(admin_url)


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
