"""What an operator writes down in files of YAML or JSON, read as typed data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import SettingsInvalid

TIMESTAMP = "tag:yaml.org,2002:timestamp"
Model = TypeVar("Model", bound=BaseModel)


class Closed(BaseModel):
    """What is written wrongly is refused rather than ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Loader(yaml.SafeLoader):
    """YAML with the values of JSON: a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as the library declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(path: Path, model: type[Model], variable: str) -> Model:
    """Return a file as a model; raises SettingsInvalid naming the variable that names the file."""
    try:
        content = parse(path)
    except ValueError as error:
        raise SettingsInvalid(f"{variable}: {error}") from error
    return validated(content, model, f"{variable}: {path}: ")


def validated(content: Any, model: type[Model], where: str) -> Model:
    """Return plain data as a model; raises SettingsInvalid, which begins with `where`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsInvalid(f"{where}{place}: {first['msg']}") from error


def parse(path: Path) -> Any:
    """Return what a file of YAML or JSON holds; raises ValueError when it cannot be read."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # a safe one
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is neither YAML nor JSON") from error
