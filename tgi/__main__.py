"""python -m tgi serve: the embedded model server on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.errors import ParleyError

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
    token_ms: Annotated[
        float, typer.Option(min=0, help="Pause before each streamed token, in milliseconds.")
    ] = 0.0,
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
        from tgi.embedded.server import create_app

        embedder = MiniLM.load()
    except ParleyError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    try:
        server = create_app(ExtractiveModel(embedder), token_seconds=token_ms / 1000)
        if with_parent:
            announce(bound)
        else:
            typer.echo(f"Serving parley-extractive on {address(bound)}")
        run(server, bound)
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a person ends it
    finally:
        embedder.close()


if __name__ == "__main__":
    app()
