"""python -m api serve | run | key: the HTTP service, and keys to it."""

from __future__ import annotations

import json
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from core import logs, settings
from core.errors import ParleyError
from core.heap import settle

if TYPE_CHECKING:
    from api.build import Services

app = typer.Typer(
    help="The HTTP service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables, hence passwords
)
STOPPED_EARLY = 130  # as a shell reports a program that Ctrl+C ended
TENANT = "default"  # until there are accounts
QUESTION = "What is Parley?"


@app.command()
def serve() -> None:
    """Serve until Ctrl+C or SIGTERM; everything is set by the environment (see .env.example)."""
    with told_in_a_sentence():
        start([])


@app.command()
def run(
    docs: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders to answer from.")
    ] = None,
) -> None:
    """Serve with the sample shop, and read documents first; unchanged ones are not read again."""
    with told_in_a_sentence():
        start(docs or [], sample=True)


@app.command()
def key(
    user: Annotated[str, typer.Option(help="Who will have it.")],
    role: Annotated[
        list[str] | None, typer.Option(help="user, reviewer, engineer or admin; again for more.")
    ] = None,
    group: Annotated[list[str] | None, typer.Option(help="Of readers; again for more.")] = None,
    tenant: Annotated[str, typer.Option(help="Whose data it opens.")] = TENANT,
    name: Annotated[
        str | None, typer.Option(help="Their full name, to be masked as personal data.")
    ] = None,
) -> None:
    """Make an API key: shown once, together with its entry for the file API_KEYS_FILE."""
    from pydantic import ValidationError

    from api import keys

    made = keys.new_key()
    try:
        entry = keys.entry_of(
            made, tenant=tenant, user=user, roles=role or ["user"], groups=group or [], name=name
        )
    except ValidationError as error:
        first = error.errors()[0]
        print(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", file=sys.stderr)
        raise typer.Exit(1) from error
    # Apart from the entry, so that `>> FILE` does not put the key itself into the file.
    print(f"The key of {user}, which nobody can show again: {made}", file=sys.stderr)
    print(entry, end="")


def start(docs: Sequence[Path], *, sample: bool = False) -> None:
    """Serve with these documents, and with the sample shop or not.

    Raises ParleyError when something cannot be started.
    """
    from api.listen import listen

    current = settings.read()
    # Before the imports below: guardrails adds a handler of its own where there is none.
    logs.configure(current.log.level, current.log.format)
    listener = listen(current.api.host, current.api.port)
    # The imports take seconds, and so do the services: a port in use should not.
    from api import server
    from api.build import build

    async def main() -> None:
        async with build(current) as services:
            await server.serve(services, listener, greet(services, listener, docs, sample=sample))

    server.run(main)


async def greet(
    services: Services, listener: socket.socket, docs: Sequence[Path], *, sample: bool
) -> None:
    """Read the documents, then say how to go on from here."""
    from api.listen import url_of

    url = url_of(listener)
    if sample:
        await stock(services)
    if docs:
        print(f"answering at {url}, reading documents …", flush=True)
        await read(services, docs)
    settle()
    seconds = time.time() - psutil.Process().create_time()
    body = {"model": "parley", "messages": [{"role": "user", "content": QUESTION}]}
    print(f"ready in {seconds:.1f} s at {url}", flush=True)
    print(
        f"try: curl -s {url}/v1/chat/completions -H 'Content-Type: application/json' "
        f"-d {shlex.quote(json.dumps(body))}",
        flush=True,
    )


async def stock(services: Services) -> None:
    """Put the sample orders into the shop, for trying out what acting is; once."""
    from tools.shop.sample import load_sample

    async with services.database.transaction(TENANT) as conn:
        await load_sample(conn, tenant_id=TENANT)


async def read(services: Services, docs: Sequence[Path]) -> None:
    """Bring the knowledge base up to date with `docs` and say what happened to it."""
    from knowledge.ingest import ingest

    try:
        summary = await ingest(
            services.database,
            services.embedder,
            docs,
            tenant_id=TENANT,
            settings=services.settings.knowledge,
        )
    except ParleyError as error:
        # The server goes on: it can answer from what it knows already.
        print(f"the documents could not be read: {error.message}", file=sys.stderr)
        return
    for failure in summary.failures:
        print(failure, file=sys.stderr)
    print(
        f"{summary.read} documents ({summary.added} new, {summary.changed} changed, "
        f"{summary.unchanged} unchanged, {summary.removed} removed, {summary.failed} unreadable)",
        flush=True,
    )


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Turn an expected failure into a sentence on standard error and exit status 1."""
    try:
        yield
    except ParleyError as error:
        print(error.message, file=sys.stderr)
        if error.hint:
            print(error.hint, file=sys.stderr)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(STOPPED_EARLY) from error


if __name__ == "__main__":
    app()
