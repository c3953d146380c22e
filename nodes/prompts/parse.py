"""From a prompt's file to a prompt.

A file opens with YAML front matter (`Matter`), then one section per message: a heading `# system`,
`# user` or `# assistant`, and `# history` where the earlier messages of the conversation go.
Pairs of `# user` and `# assistant` before that are examples.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated

import yaml
from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, meta
from pydantic import Field, ValidationError

from core.errors import PromptInvalid
from core.files import Closed
from nodes.prompts.prompt import Limits, Prompt
from safety.neutral import neutralise
from tgi.catalog import Task

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^# (system|user|assistant|history)\n", re.MULTILINE)


class Matter(Closed):
    """The front matter of a prompt."""

    name: str
    version: Annotated[int, Field(ge=1)]
    task: Task
    variables: frozenset[str]
    limits: Limits = Limits()
    model: str | None = None


def environment() -> Environment:
    """Return the engine that fills in templates: strict, with the filters below."""
    made = Environment(
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - prompts are text; `fenced` and `attribute` escape
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["fenced"] = fenced
    made.filters["attribute"] = attribute
    return made


def fenced(text: str) -> str:
    """Return text from outside so that it cannot close its fence, nor open a message of its own."""
    return neutralise(text)


def attribute(text: str) -> str:
    """Return `text` fit to stand between double quotes, on one line."""
    return " ".join(fenced(text).replace('"', "'").split())


def parse(path: Path, engine: Environment) -> Prompt:
    """Return the prompt of a file NAME/VERSION.md; raises PromptInvalid."""
    place = f"{path.parent.name}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        matter, sections = _split(text)
        if (matter.name, str(matter.version)) != (path.parent.name, path.stem):
            raise ValueError("name and version are not those of the file")
        _check_variables(matter, sections, engine)
        return Prompt(
            **dict(matter),
            text=text,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            # Compiled once: it costs more than a turn's SQL.
            sections=tuple((role, engine.from_string(part)) for role, part in sections),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PromptInvalid(f"{place}: {where}: {first['msg']}.") from error
    except yaml.YAMLError as error:
        raise PromptInvalid(f"{place}: the front matter is no YAML.") from error
    except TemplateSyntaxError as error:
        raise PromptInvalid(f"{place}: {error.message}.") from error
    except (OSError, ValueError) as error:
        raise PromptInvalid(f"{place}: {error}.") from error


def _split(text: str) -> tuple[Matter, list[tuple[str, str]]]:
    """Return the front matter and the sections, each with its role."""
    matter = _FRONT_MATTER.match(text)
    if matter is None:
        raise ValueError("there is no front matter")
    before, *parts = _HEADING.split(text[matter.end() :])
    sections = list(zip(parts[::2], parts[1::2], strict=True))
    if before.strip() or not sections or sections[0][0] != "system":
        raise ValueError("the first section has to be system")
    return Matter.model_validate(yaml.safe_load(matter[1])), sections


def _check_variables(matter: Matter, sections: list[tuple[str, str]], engine: Environment) -> None:
    used = [meta.find_undeclared_variables(engine.parse(part)) for _, part in sections]
    together = frozenset().union(*used) - engine.globals.keys()
    if unknown := together - matter.variables:
        raise ValueError(f"not declared: {', '.join(sorted(unknown))}")
    if unused := matter.variables - together:
        raise ValueError(f"declared and not used: {', '.join(sorted(unused))}")
    # What must not be given away has to be known before a turn has its variables.
    if others := used[0] - {"instructions"}:
        raise ValueError(f"the system section may not use {', '.join(sorted(others))}")
