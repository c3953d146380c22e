"""`python -m graphs draw`: writes the picture of the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphs import draw as drawing

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables
    help="The state machines of Parley.",
    no_args_is_help=True,
)


@app.callback()
def main() -> None:
    """The state machines of Parley."""


@app.command()
def draw(
    out: Annotated[Path, typer.Option(help="Folder for graph.mmd and graph.png.")] = Path(
        "docs/pictures"
    ),
    readme: Annotated[
        Path | None, typer.Option(help="README whose picture is brought up to date.")
    ] = Path("README.md"),
) -> None:
    """Write the graph as Mermaid text and as a PNG, and update the README."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "graph.mmd").write_text(drawing.mermaid(), encoding="utf-8")
    (out / "graph.png").write_bytes(drawing.png())
    print(f"wrote {out / 'graph.mmd'} and {out / 'graph.png'}")
    if readme is not None and readme.exists():
        readme.write_text(drawing.insert(readme.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"updated {readme}")


if __name__ == "__main__":
    app()
