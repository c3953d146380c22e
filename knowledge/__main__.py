"""python -m knowledge: put documents into the knowledge base, look into it, take them out."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from core.errors import ParleyError
from core.settings import Settings
from core.settings import read as read_settings
from core.turn import Passage
from db.connect import connect
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.catalog import Entry, entries, size
from knowledge.console import describe, printable, progress, sentence, show
from knowledge.files import absolute, below, lines_of
from knowledge.ingest import Summary
from knowledge.ingest import ingest as run_ingest
from knowledge.search import Search
from knowledge.store import Conn, remove_document, remove_under

T = TypeVar("T")

app = typer.Typer(
    help="The knowledge base.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, passwords among them
)

Tenant = Annotated[str, typer.Option(help="Whose knowledge base.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders, .jsonl files.")],
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Bring the knowledge base up to date with files and folders.

    Unchanged documents cost nothing; what is gone from a folder is forgotten.
    Exit status: 0 when something could be read, 1 when nothing could or a path does not exist.
    """

    async def work() -> Summary:
        settings = read_settings()
        async with _opened(settings) as (database, embedder):
            with progress(silent=as_json) as report:
                return await run_ingest(
                    database,
                    embedder,
                    paths,
                    tenant_id=tenant,
                    settings=settings.knowledge,
                    report=report,
                )

    summary = _run(work())
    if as_json:
        _print_json(describe(summary))
    else:
        for failure in summary.failures:
            print(printable(str(failure)))
        print(sentence(summary))
    raise SystemExit(0 if summary.succeeded else 1)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Passages at most.")] = 5,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Find the passages that answer a question best, with their scores."""

    async def work() -> list[Passage]:
        settings = read_settings()
        async with _opened(settings) as (database, embedder):
            await embedder.query(query)  # remembered: no connection waits for the model
            find = Search(embedder, candidates=settings.knowledge.candidates)
            async with database.transaction(tenant) as conn:
                return await find(conn, query, tenant_id=tenant, limit=limit)

    passages = _run(work())
    if as_json:
        _print_json(passages)
    elif not passages:
        print("The knowledge base is empty; `python -m knowledge ingest PATH` fills it.")
    else:
        show(passages)


@app.command("list")
def list_command(
    path: Annotated[str, typer.Argument(help="A path or a uri to begin with.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Documents at most.")] = 1000,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """List the documents of the knowledge base."""

    async def work() -> tuple[list[Entry], int, int]:
        async with _transaction(tenant) as conn:
            prefix = _uri(path) if path else ""
            found = await entries(conn, tenant_id=tenant, prefix=prefix, limit=limit)
            return found, *await size(conn, tenant_id=tenant)

    found, documents, chunks = _run(work())
    if as_json:
        _print_json([asdict(entry) for entry in found])
        return
    for entry in found:
        print(f"{entry.chunks:6d} chunks  {entry.uri}  {printable(entry.title)}")
    print(f"{len(found)} of {documents} documents, {chunks} chunks in all")


@app.command()
def remove(
    uri: Annotated[str, typer.Argument(help="A document's uri or path, or a folder.")],
    tenant: Tenant = "default",
) -> None:
    """Forget a document, or everything that was read from a folder or a .jsonl file."""

    async def work() -> int:
        wanted = _uri(uri)
        async with _transaction(tenant) as conn:
            gone = int(await remove_document(conn, tenant_id=tenant, uri=wanted))
            for prefix in (below(wanted), lines_of(wanted)):
                gone += len(await remove_under(conn, tenant_id=tenant, prefix=prefix))
            return gone

    gone = _run(work())
    if not gone:
        raise SystemExit(f"The knowledge base has no {uri}; `python -m knowledge list` shows all.")
    print(f"removed {gone} {'document' if gone == 1 else 'documents'}")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database, MiniLM]]:
    """Give the database and the embedding model."""
    async with connect(settings.database) as database:
        with closing(MiniLM.load(settings.knowledge.embed_threads)) as embedder:
            yield database, embedder


@asynccontextmanager
async def _transaction(tenant: str) -> AsyncIterator[Conn]:
    settings = read_settings()
    async with connect(settings.database) as database, database.transaction(tenant) as conn:
        yield conn


def _uri(text: str) -> str:
    """Return a uri as it is, and a path as the uri that ingestion gave it."""
    return text if re.match(r"[a-z][a-z0-9+.-]+:", text) else absolute(Path(text)).as_uri()


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except ParleyError as error:
        raise SystemExit(
            f"{error.message}\n{error.hint}" if error.hint else error.message
        ) from error
    except KeyboardInterrupt:
        # What was stored stays stored; the next run goes on from there.
        raise SystemExit(130) from None


if __name__ == "__main__":
    app()
