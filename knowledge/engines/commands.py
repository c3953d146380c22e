"""The commands of `python -m knowledge` for what one machine cannot hold."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.command import run
from core.errors import ParleyError, SettingsInvalid
from core.settings import read as read_settings
from db.connect import connect
from knowledge.command import AsJson, Tenant, print_json
from knowledge.engines.choose import vector_engine
from knowledge.engines.plan import Corpus, Plan, Rates, described
from knowledge.engines.plan import plan as planned
from knowledge.engines.sync import Told
from knowledge.engines.sync import sync as run_sync

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def sync(
    tenant: Tenant = "default",
    check: Annotated[
        bool, typer.Option(help="Compare the numbers of chunks, and repair the copy.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Tell the vector engine what changed; may be repeated and interrupted at any time."""

    async def work() -> Told:
        settings = read_settings()
        async with vector_engine(settings.knowledge) as engine:
            if engine is None:
                raise SettingsInvalid(
                    "There is no vector engine beside Postgres.",
                    hint="KNOWLEDGE_QDRANT_URL names one.",
                )
            async with connect(settings.database) as database:
                return await run_sync(database, engine, tenant_id=tenant, check=check)

    told = run(work())
    if as_json:
        print_json(asdict(told))
    else:
        again = "; the copy did not match and was made anew" if told.rebuilt else ""
        typer.echo(f"told of {told.documents} documents, {told.chunks} chunks{again}")


@app.command()
def plan(
    documents: Annotated[int, typer.Option(min=1, help="Documents to ingest.")] = 10_000_000,
    chunks_per_document: Annotated[float, typer.Option(min=0.01, help="On average.")] = 8.0,
    tokens_per_chunk: Annotated[
        float, typer.Option(min=1, help="On average, also in the report.")
    ] = 200.0,
    cores: Annotated[list[int] | None, typer.Option(min=1, help="Repeat to compare.")] = None,
    machine_gib: Annotated[float, typer.Option(min=1, help="Memory of a machine.")] = 64.0,
    report: Annotated[
        Path | None, typer.Option(help="Rates from `python -m evals bench ingest --json FILE`.")
    ] = None,
    report_cores: Annotated[
        int, typer.Option(min=0, help="Cores of the machine of the report; 0: as many as here.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Calculate hours, disks and memory for a large corpus from measured rates."""
    try:
        here = report_cores or os.cpu_count() or 1
        rates = (
            Rates.measured(report, cores=here, tokens_per_chunk=tokens_per_chunk)
            if report
            else Rates()
        )
    except ParleyError as error:
        raise SystemExit(error.message) from error
    corpus = Corpus(documents, chunks_per_document, tokens_per_chunk, machine_gib)
    found = planned(corpus, rates, cores=cores or (16, 64, 256))
    if as_json:
        print_json({"corpus": asdict(corpus), "rates": asdict(rates), "plan": described(found)})
    else:
        _show(found, corpus)


def _show(found: Plan, corpus: Corpus) -> None:
    table = Table("what", "how much", box=None, pad_edge=False)
    table.add_row("chunks", f"{found.chunks:,}")
    table.add_row("embedding", f"{found.embedding_core_hours:,.0f} core hours")
    table.add_row("reading, cutting, storing", f"{found.other_core_hours:,.0f} core hours")
    table.add_row("vector index in Postgres", f"{found.index_core_hours:,.0f} core hours")
    for cores, hours in found.hours_by_cores.items():
        table.add_row(f"hours on {cores} cores", f"{hours:,.1f}")
    for gpus, hours in found.hours_by_gpus.items():
        table.add_row(f"hours with {gpus} GPU, assumed", f"{hours:,.1f}")
    for name, gib in found.disk_gib.items():
        table.add_row(f"disk: {name}", f"{gib:,.0f} GiB")
    table.add_row("disk with room to work", f"{found.disk_with_spare_gib:,.0f} GiB")
    fits = "fits" if found.postgres_fits else "does not fit"
    machine = f"a machine of {corpus.machine_gib:g} GiB"
    table.add_row(
        "memory for Postgres", f"{found.postgres_memory_gib:,.0f} GiB: {fits} into {machine}"
    )
    table.add_row(
        "memory for Qdrant, assumed",
        f"{found.qdrant_memory_gib:,.0f} GiB: {found.qdrant_machines} x {machine}",
    )
    Console(highlight=False).print(table)
