"""What every command of `python -m knowledge` does the same way."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Annotated

import typer

from core import logs
from core.errors import ParleyError
from core.settings import Settings
from core.settings import read as read_settings
from db.connect import connect
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.access import Access, names
from knowledge.files import absolute
from knowledge.store import Conn
from knowledge.worker import Worker, working

Tenant = Annotated[str, typer.Option(help="Whose knowledge base.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Owners = Annotated[
    list[str] | None, typer.Option("--owner", help="A user who may read it; repeat for more.")
]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="A group that may read it; repeat for more.")
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", help="To narrow searches; repeat for more.")
]


def access_of(
    owners: list[str] | None, groups: list[str] | None, labels: list[str] | None
) -> Access:
    """Return what the options say; one that was not given changes nothing."""
    try:
        return Access(
            *(
                names(given, what=what) if given else None
                for given, what in ((owners, "owners"), (groups, "groups"), (labels, "labels"))
            )
        )
    except ParleyError as error:
        raise SystemExit(error.message) from error


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[Database, MiniLM]]:
    """Give the database and the embedding model."""
    async with connect(settings.database) as database:
        model = await asyncio.to_thread(MiniLM.load, settings.knowledge.embed_threads)
        with closing(model) as embedder:
            yield database, embedder


@asynccontextmanager
async def transaction(tenant: str) -> AsyncIterator[Conn]:
    """Give a connection for one command."""
    settings = read_settings()
    async with connect(settings.database) as database, database.transaction(tenant) as conn:
        yield conn


async def work(settings: Settings, *, concurrency: int) -> None:
    """Do jobs until SIGINT or SIGTERM; those at hand may finish, the others wait for the next."""
    logs.configure(settings.log.level, settings.log.format)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    with suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    async with opened(settings) as (database, embedder):
        worker = Worker(
            database,
            embedder,
            settings=settings.knowledge,
            concurrency=concurrency,
            drain_seconds=settings.api.drain_seconds,
        )
        async with working(worker):
            typer.echo(f"working on {concurrency} jobs at a time; Ctrl+C ends it")
            await stop.wait()


def uri_of(text: str) -> str:
    """Return a uri as it is, and a path as the uri that ingestion gave it."""
    return text if re.match(r"[a-z][a-z0-9+.-]+:", text) else absolute(Path(text)).as_uri()


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
