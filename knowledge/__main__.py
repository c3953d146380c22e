"""python -m knowledge: put documents into the knowledge base, look into it, take them out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from core.command import run
from core.metrics import Metrics
from core.settings import read as read_settings
from core.turn import Passage
from db.connect import connect
from knowledge import ingestions
from knowledge.access import Access
from knowledge.batches import Batch, State, put, watch
from knowledge.catalog import Entry, entries, size
from knowledge.command import (
    AsJson,
    Groups,
    Labels,
    Owners,
    Tenant,
    access_of,
    opened,
    print_json,
    transaction,
    uri_of,
    work,
)
from knowledge.configured import searching
from knowledge.console import describe, printable, progress, sentence, show
from knowledge.engines import commands
from knowledge.engines.choose import tell
from knowledge.engines.ray import ingest as ingest_by_ray
from knowledge.files import below, lines_of
from knowledge.ingest import Summary
from knowledge.ingest import ingest as run_ingest
from knowledge.ingestions import Ingestion
from knowledge.jobs import BULK, retry, workers
from knowledge.search import RERANKED
from knowledge.stats import Stats
from knowledge.stats import stats as count
from knowledge.store import remove_document, remove_under, set_access
from knowledge.tables import ranks, show_explained, show_ingestions, show_stats
from knowledge.watching import NO_WORKER, watcher
from knowledge.watching import describe as describe_batch
from knowledge.watching import sentence as batch_sentence

app = typer.Typer(
    help="The knowledge base.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, passwords among them
)
jobs = typer.Typer(
    help="What is read in the background.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
app.add_typer(jobs, name="jobs")
app.add_typer(commands.app)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders, .jsonl files.")],
    tenant: Tenant = "default",
    owner: Owners = None,
    group: Groups = None,
    label: Labels = None,
    queue: Annotated[bool, typer.Option("--queue", help="Leave it to the workers.")] = False,
    priority: Annotated[int, typer.Option(help="With --queue: higher comes first.")] = BULK,
    watching: Annotated[bool, typer.Option("--watch", help="With --queue: wait for it.")] = False,
    engine: Annotated[
        Literal["here", "ray"], typer.Option(help="In this process, or by workers of Ray.")
    ] = "here",
    ray_workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="With --engine ray: a core each.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="With --engine ray: a running cluster; else this machine.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the knowledge base up to date with files and folders.

    Unchanged documents cost nothing; what is gone from a folder is forgotten.
    Exit status: 0 when something could be read, 1 when nothing could or a path does not exist.
    """
    access = access_of(owner, group, label)
    if engine != "ray" and (ray_workers or address):
        raise SystemExit("--workers and --address belong to --engine ray.")
    if queue and engine == "ray":
        raise SystemExit("--queue leaves it to workers of its own, so it has no --engine.")
    if queue:
        _queue(paths, tenant, access, priority=priority, watching=watching, as_json=as_json)
    if priority != BULK or watching:
        raise SystemExit("--priority and --watch belong to --queue.")

    async def work() -> Summary:
        settings = read_settings()
        what: dict[str, Any] = {
            "tenant_id": tenant,
            "settings": settings.knowledge,
            "access": access,
        }
        with progress(silent=as_json) as report:
            if engine == "ray":
                async with connect(settings.database) as database:
                    done = await ingest_by_ray(
                        database,
                        paths,
                        report=report,
                        workers=ray_workers,
                        address=address,
                        **what,
                    )
                    await tell(database, settings.knowledge, tenant_id=tenant)
            else:
                async with opened(settings) as (database, embedder):
                    done = await run_ingest(database, embedder, paths, report=report, **what)
                    await tell(database, settings.knowledge, tenant_id=tenant)
        return done

    summary = run(work())
    if as_json:
        print_json(describe(summary))
    else:
        for failure in summary.failures:
            print(printable(str(failure)))
        print(sentence(summary))
    raise SystemExit(0 if summary.succeeded else 1)


def _queue(
    paths: list[Path], tenant: str, access: Access, *, priority: int, watching: bool, as_json: bool
) -> None:
    """Put jobs into the queue, watch them where asked for, and end."""

    async def work() -> tuple[Batch, State | None, list[Ingestion], bool]:
        settings = read_settings()
        async with connect(settings.database) as database:
            batch = await put(database, paths, tenant_id=tenant, access=access, priority=priority)
            async with database.connection() as conn:
                seconds = settings.knowledge.worker_timeout_seconds
                anybody = bool(await workers(conn, within_seconds=seconds))
            if not watching:
                return batch, None, [], anybody
            if not anybody and not as_json:
                typer.echo(NO_WORKER, err=True)
            state = State()
            with watcher(batch, silent=as_json) as shown:
                async for state in watch(database, batch.batch_id, tenant_id=tenant):
                    shown.show(state)
            async with database.transaction(tenant) as conn:
                bad = await ingestions.listed(
                    conn,
                    tenant_id=tenant,
                    states=["parked"],
                    batch_id=batch.batch_id,
                    flawed_too=True,
                    limit=1000,
                )
            return batch, state, bad, anybody

    batch, state, bad, anybody = run(work())
    if as_json:
        print_json(describe_batch(batch, state))
    else:
        for failure in batch.failures:
            print(printable(str(failure)))
        for one in bad:
            print(printable(f"{one.shown}: {one.code}: {one.message}"))
        if state is not None:
            print(batch_sentence(state))
        else:
            print(f"queued {batch.documents} documents, {batch.forgotten} to be forgotten")
            if not anybody:
                print(NO_WORKER)
    missing = any(failure.missing for failure in batch.failures)
    useful = batch.documents + batch.forgotten if state is None else state.done
    raise SystemExit(0 if useful and not missing else 1)


@app.command("work")
def work_command(
    concurrency: Annotated[int, typer.Option(min=1, help="Documents at the same time.")] = 2,
) -> None:
    """Read what is queued, until Ctrl+C or SIGTERM; any number of these may run."""
    run(work(read_settings(), concurrency=concurrency))


@jobs.callback()
def jobs_command(context: typer.Context) -> None:
    """List what waits and what is at work; `retry` tries again what is parked."""
    if context.invoked_subcommand is None:
        _list_jobs(["working", "queued"], 50, "default", as_json=False)


@jobs.command("list")
def jobs_list(
    limit: Annotated[int, typer.Option(min=1, help="Documents at most.")] = 50,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """List what waits and what is at work, the newest first."""
    _list_jobs(["working", "queued"], limit, tenant, as_json=as_json)


@jobs.command("parked")
def jobs_parked(
    limit: Annotated[int, typer.Option(min=1, help="Documents at most.")] = 50,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """List what could not be read, with the reasons."""
    _list_jobs(["parked"], limit, tenant, as_json=as_json)


@jobs.command("retry")
def jobs_retry(
    which: Annotated[list[UUID] | None, typer.Argument(help="Ingestions; without: all.")] = None,
    tenant: Tenant = "default",
) -> None:
    """Try again what is parked."""

    async def work() -> int:
        async with transaction(tenant) as conn:
            return await retry(conn, tenant_id=tenant, ids=which or None)

    revived = run(work())
    print(f"{revived} {'document waits' if revived == 1 else 'documents wait'} again")
    raise SystemExit(0 if revived or not which else 1)


def _list_jobs(states: list[ingestions.State], limit: int, tenant: str, *, as_json: bool) -> None:
    async def work() -> list[Ingestion]:
        async with transaction(tenant) as conn:
            return await ingestions.listed(conn, tenant_id=tenant, states=states, limit=limit)

    found = run(work())
    if as_json:
        keys = ("ingestion_id", "batch_id", "uri", "state", "attempts", "code", "message")
        print_json([{key: getattr(one, key) for key in keys} for one in found])
    elif not found:
        print(f"nothing is {' or '.join(states)}")
    else:
        show_ingestions(found)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Passages at most.")] = 5,
    tenant: Tenant = "default",
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each stage gave, and its time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the passages that answer a question best, with their scores."""

    async def work() -> tuple[list[Passage], dict[str, float]]:
        settings, metrics = read_settings(), Metrics()
        async with (
            opened(settings) as (database, embedder),
            searching(settings.knowledge, embedder, metrics) as find,
        ):
            most = max(limit, RERANKED) if explain else limit
            found = await find(database, query, tenant_id=tenant, limit=most)
            return found, metrics.milliseconds()

    found, milliseconds = run(work())
    passages = found[:limit]
    if as_json and explain:
        print_json({"passages": passages, "ranks": ranks(found), "milliseconds": milliseconds})
    elif as_json:
        print_json(passages)
    elif not passages:
        print("The knowledge base is empty; `python -m knowledge ingest PATH` fills it.")
    elif explain:
        show_explained(passages, ranks(found), milliseconds)
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
        async with transaction(tenant) as conn:
            prefix = uri_of(path) if path else ""
            found = await entries(conn, tenant_id=tenant, prefix=prefix, limit=limit)
            return found, *await size(conn, tenant_id=tenant)

    found, documents, chunks = run(work())
    if as_json:
        print_json([asdict(entry) for entry in found])
        return
    for entry in found:
        print(f"{entry.chunks:6d} chunks  {entry.uri}  {printable(entry.title)}")
    print(f"{len(found)} of {documents} documents, {chunks} chunks in all")


@app.command()
def stats(tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Count documents, chunks, what waits, and what it takes on disk."""

    async def work() -> Stats:
        async with transaction(tenant) as conn:
            return await count(conn, tenant_id=tenant)

    found = run(work())
    if as_json:
        print_json(asdict(found))
    else:
        show_stats(found)


@app.command()
def access(
    uri: Annotated[str, typer.Argument(help="A document's uri or path, or a folder.")],
    tenant: Tenant = "default",
    owner: Owners = None,
    group: Groups = None,
    label: Labels = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="No owners and groups: everyone may read it.")
    ] = False,
) -> None:
    """Change who may read a document, or everything of a folder; what is not named stays."""
    wanted = access_of(owner, group, label)
    if everybody:
        wanted = Access(
            owners=wanted.owners or (), groups=wanted.groups or (), labels=wanted.labels
        )
    if wanted == Access():
        raise SystemExit("Name somebody with --owner or --group, or give --everybody or --label.")

    async def work() -> int:
        async with transaction(tenant) as conn:
            given = uri_of(uri)
            changed = await set_access(conn, tenant_id=tenant, uri=given, access=wanted)
            return len(changed)

    changed = run(work())
    print(f"changed {changed} {'document' if changed == 1 else 'documents'}")


@app.command()
def remove(
    uri: Annotated[str, typer.Argument(help="A document's uri or path, or a folder.")],
    tenant: Tenant = "default",
) -> None:
    """Forget a document, or everything that was read from a folder or a .jsonl file."""

    async def work() -> int:
        wanted = uri_of(uri)
        async with transaction(tenant) as conn:
            gone = int(await remove_document(conn, tenant_id=tenant, uri=wanted))
            for prefix in (below(wanted), lines_of(wanted)):
                gone += len(await remove_under(conn, tenant_id=tenant, prefix=prefix))
            return gone

    gone = run(work())
    if not gone:
        raise SystemExit(f"The knowledge base has no {uri}; `python -m knowledge list` shows all.")
    print(f"removed {gone} {'document' if gone == 1 else 'documents'}")


if __name__ == "__main__":
    app()
