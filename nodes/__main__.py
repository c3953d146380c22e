"""python -m nodes prompts: look at the prompts and their versions."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from jinja2 import UndefinedError

from core.errors import ParleyError, PromptInvalid
from nodes.prompts import FOLDER, Prompt, Prompts
from nodes.prompts import record as recording

app = typer.Typer(
    help="The steps of a turn.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, which hold what users wrote
)
prompts = typer.Typer(help="The prompts.", no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(prompts, name="prompts")

Folder = Annotated[
    Path, typer.Option(exists=True, file_okay=False, help="With NAME/VERSION.md in it.")
]
Name = Annotated[str, typer.Argument(help="Of the prompt.")]


@app.callback()
def group() -> None:
    """The steps of a turn."""


@prompts.command("list")
def list_command(folder: Folder = FOLDER) -> None:
    """List each prompt's versions, the one in use marked with a star."""
    with told():
        found = Prompts.load(folder)
        for name in found:
            for prompt in found.versions(name):
                star = "*" if prompt is found[name] else " "
                wanted = ", ".join(sorted(prompt.variables))
                print(
                    f"{star} {name:12} {prompt.version:3}  {prompt.task:9} "
                    f"{prompt.sha256[:12]}  {wanted}"
                )


@prompts.command()
def render(
    name: Name,
    version: Annotated[int | None, typer.Option(help="None: the one in use.")] = None,
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="A variable; may be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            exists=True,
            dir_okay=False,
            help='An object of variables, and with "history" the earlier messages.',
        ),
    ] = None,
    folder: Folder = FOLDER,
) -> None:
    """Print the messages that would be sent."""
    with told():
        variables = _variables(var or (), json_file)
        history = variables.pop("history", [])
        prompt = _named(Prompts.load(folder), name, version)
        for message in prompt.render(history, **variables)["messages"]:
            print(f"--- {message['role']}\n{message['content']}\n")


@prompts.command()
def diff(
    name: Name,
    old: Annotated[int | None, typer.Argument(help="None: the one before the new one.")] = None,
    new: Annotated[int | None, typer.Argument(help="None: the one in use.")] = None,
    folder: Folder = FOLDER,
) -> None:
    """Print what changed between two versions, as a unified diff."""
    with told():
        found = Prompts.load(folder)
        second = _named(found, name, new)
        first = _named(found, name, second.version - 1 if old is None else old)
        lines = difflib.unified_diff(
            first.text.splitlines(),
            second.text.splitlines(),
            f"{name}/{first.version}.md",
            f"{name}/{second.version}.md",
            lineterm="",
        )
        print("\n".join(lines))


@prompts.command()
def record(folder: Folder = FOLDER) -> None:
    """Remember the text of new versions: from now on they may not change."""
    with told():
        new = recording.record(Prompts.load(folder), folder)
        print(f"recorded: {', '.join(new)}" if new else "nothing new")


@contextmanager
def told() -> Iterator[None]:
    """End with exit status 1 and a sentence when something cannot be done."""
    try:
        yield
    except ParleyError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(1) from error
    except UndefinedError as error:
        typer.echo(f"A variable is missing: {error}.", err=True)
        raise typer.Exit(1) from error


def _named(found: Prompts, name: str, version: int | None) -> Prompt:
    if name not in found:
        raise PromptInvalid(f"There is no prompt {name}; there are {', '.join(found)}.")
    if version is None:
        return found[name]
    try:
        return found.version(name, version)
    except KeyError as error:
        known = ", ".join(str(prompt.version) for prompt in found.versions(name))
        raise PromptInvalid(f"There is no {name} {version}; there are {known}.") from error


def _variables(pairs: Iterable[str], json_file: Path | None) -> dict[str, Any]:
    """Return the variables of --var and --json together; raises typer.BadParameter."""
    given: dict[str, Any] = {}
    if json_file is not None:
        try:
            given |= json.loads(json_file.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(f"{json_file} holds no JSON object.") from error
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair} is not of the form NAME=TEXT.")
        given[name] = text
    return given


if __name__ == "__main__":
    app()
