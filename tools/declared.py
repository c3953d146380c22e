"""What an operator says about tools that come from elsewhere, in files of YAML or JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SettingsInvalid
from tools.tool import Declaration, Effect, Idempotency

PREFIX = r"^[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$"  # of names of tools: without "__", which ends it
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what servers of models take for a tool's name
TIMESTAMP = "tag:yaml.org,2002:timestamp"
Model = TypeVar("Model", bound=BaseModel)


class Closed(BaseModel):
    """What is written wrongly is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Declared(Closed):
    """What a tool does. Unless it says otherwise, private text and text by strangers come back."""

    effect: Effect
    idempotency: Idempotency
    reads_private: bool = True
    reads_untrusted: bool = True
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] | None = None
    roles: frozenset[str] = frozenset()
    description: str | None = None  # for the model, instead of the one it comes with

    def declaration(self, hosts: frozenset[str], *, seconds: float) -> Declaration:
        """Return it as policy reads it; raises ValueError where it contradicts itself.

        seconds: time that a call may take where nothing is said.
        """
        said = self.model_dump(exclude={"description", "timeout_seconds"})
        return Declaration(**said, hosts=hosts, timeout_seconds=self.timeout_seconds or seconds)


class _Loader(yaml.SafeLoader):
    """YAML with the values of JSON: a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as the library declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def full_name(prefix: str, name: str) -> str:
    """Return the name of a tool that comes from elsewhere; raises ValueError for an unfit one."""
    full = f"{prefix}__{name}"
    if not NAME.fullmatch(full):
        raise ValueError(f"{full[:80]!r} cannot be the name of a tool")
    return full


def read(path: Path, model: type[Model], variable: str) -> Model:
    """Return a file as a model; raises SettingsInvalid naming the variable that names the file."""
    try:
        return model.model_validate(parse(path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsInvalid(f"{variable}: {path}: {place}: {first['msg']}") from error
    except ValueError as error:
        raise SettingsInvalid(f"{variable}: {error}") from error


def parse(path: Path) -> Any:
    """Return what a file of YAML or JSON holds; raises ValueError when it cannot be read."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe one
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is neither YAML nor JSON") from error
