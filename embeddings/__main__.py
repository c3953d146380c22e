"""`python -m embeddings graph`: write the graph file anew; --check only compares."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import ParleyError
from embeddings import graph
from embeddings.minilm import GRAPH
from embeddings.weights import locate

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show local variables, hence passwords
)


@app.callback()
def main() -> None:
    """The embedding model's graph file."""


@app.command(name="graph")
def write(
    check: Annotated[bool, typer.Option(help="Write nothing; fail when it would change.")] = False,
) -> None:
    """Write embeddings/minilm.onnx from the header of the package's weights."""
    try:
        model = graph.write(locate())
    except ParleyError as error:
        raise SystemExit(f"{error.message}\n{error.hint or ''}") from error
    if not check:
        GRAPH.write_bytes(model)
    elif model != GRAPH.read_bytes():
        raise SystemExit(
            f"{GRAPH.name} is not what this command would write; run it without --check."
        )
    print(f"{GRAPH.name}: {len(model)} bytes")


if __name__ == "__main__":
    app()
