"""python -m tgi: the embedded model server (serve), a look at any other one (probe),
and the memory that a model needs (size)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.errors import ParleyError
from tgi.sizing import HEADINGS, KvDtype, Quantize, rows

app = typer.Typer(
    help="Model servers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, which hold what users wrote
)


@app.callback()
def group() -> None:
    """Model servers."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8081,
    tokens_per_second: Annotated[
        float, typer.Option(min=0, help="Of one answer; 0: as fast as it is read.")
    ] = 0.0,
    prefill_ms: Annotated[
        float, typer.Option(min=0, help="Before the first token, per 1000 tokens of the prompt.")
    ] = 0.0,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Answers at once; the other requests wait.")
    ] = None,
    queue: Annotated[
        int | None, typer.Option(min=0, help="Requests that wait; more are refused with 429.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=WHEN",
            help="What goes wrong: cut=0.1 for a tenth of the requests, cut=every:5 for each "
            "fifth. May be repeated; docs/guides/models.md lists the kinds.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the lots that faults are drawn by.")] = 0,
    silence_seconds: Annotated[
        float, typer.Option(min=0, help="How long the faults stall and pause last.")
    ] = 60.0,
    after_tokens: Annotated[
        int, typer.Option(min=0, help="Where the faults pause, cut and garble strike.")
    ] = 3,
    faults: Annotated[
        bool, typer.Option("--faults", help="Take other timing and faults at PUT /faults.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option(help="End when stdin is closed; announce the URL as JSON.")
    ] = False,
) -> None:
    """Serve TGI's protocol with the extractive model: no GPU, no download."""
    # Heavy modules are imported where they are needed: a taken port is told at once.
    from tgi.embedded.serve import address, announce, end_with_parent, listen
    from tgi.embedded.serve import serve as run

    if with_parent:
        end_with_parent(sys.stdin.fileno())
    try:
        bound = listen(host, port)
        from embeddings.minilm import MiniLM
        from tgi.embedded.extractive import ExtractiveModel
        from tgi.embedded.faults import Timing, given
        from tgi.embedded.server import create_app

        going_wrong = given(
            fault or (), seed=seed, silence_seconds=silence_seconds, after_tokens=after_tokens
        )

        embedder = MiniLM.load()
    except ParleyError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    try:
        server = create_app(
            ExtractiveModel(embedder),
            timing=Timing(
                tokens_per_second=tokens_per_second, prefill_ms=prefill_ms, batch=batch, queue=queue
            ),
            faults=going_wrong if fault else None,
            control=faults,
        )
        if with_parent:
            announce(bound)
        else:
            typer.echo(f"Serving parley-extractive on {address(bound)}")
        run(server, bound)
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a person ends it
    finally:
        embedder.close()


@app.command()
def probe(
    url: Annotated[str, typer.Argument(help="Base URL of the server.")],
    profile: Annotated[
        str | None, typer.Option(help="tgi, vllm, llamacpp or openai. Default: found out.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of the model. Default: the first it lists.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Variable of the environment that holds the key.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="A LoRA adapter it should have.")] = None,
    load: Annotated[
        int | None, typer.Option(min=1, max=256, help="Requests at once in the overload check.")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="A check to leave out.")] = None,
    timeout_s: Annotated[
        float, typer.Option(min=1, help="Until the first token, in seconds.")
    ] = 60.0,
    json_file: Annotated[
        typer.FileTextWrite | None,
        typer.Option("--json", encoding="utf-8", help="File that the result is written to."),
    ] = None,
) -> None:
    """Find out which server stands at URL, and what of Parley's needs holds there."""
    import asyncio

    from tgi.client import Timeouts
    from tgi.probe.report import run

    try:
        holds = asyncio.run(
            run(
                url,
                profile=profile,
                model=model,
                api_key_env=api_key_env,
                adapter=adapter,
                load=load,
                skip=skip or (),
                timeouts=Timeouts(first_token=timeout_s, total=2 * timeout_s),
                json_file=json_file,
            )
        )
    except ParleyError as error:
        typer.echo(f"{error.message} {error.hint or ''}".strip(), err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if holds else 1)


@app.command()
def size(
    models: Annotated[
        list[str], typer.Argument(help="Names in tgi/sizes.yaml, or paths of a config.json.")
    ],
    context: Annotated[int, typer.Option(help="Tokens of a prompt and its answer.")] = 8192,
    gpu_gb: Annotated[float, typer.Option(min=1, help="Memory of one GPU, in GiB.")] = 24,
    quantize: Annotated[
        Quantize | None, typer.Option(help="How the weights are quantised. Default: several ways.")
    ] = None,
    kv_dtype: Annotated[KvDtype, typer.Option(help="How keys and values are kept.")] = "16bit",
    shards: Annotated[
        int | None, typer.Option(min=1, help="GPUs that share the model. Default: as few as do.")
    ] = None,
    markdown: Annotated[bool, typer.Option(help="Print a table for a document.")] = False,
) -> None:
    """Tell how much memory a model needs, and how many conversations fit at once."""
    try:
        lines = [
            row
            for model in models
            for row in rows(
                model,
                context=context,
                gpu_gib=gpu_gb,
                quantize=quantize,
                kv_dtype=kv_dtype,
                shards=shards,
            )
        ]
    except ParleyError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    if markdown:
        for cells in (HEADINGS, ["---"] * len(HEADINGS), *lines):
            typer.echo(f"| {' | '.join(cells)} |")
        return
    table = Table(*HEADINGS)
    for row in lines:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    app()
