"""What the checks of the whole project share: its root, its settings, its tracked files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from core.settings import Settings

ROOT = Path(__file__).parents[1]
HOUSE = (
    "core",
    "db",
    "embeddings",
    "knowledge",
    "safety",
    "tgi",
    "tools",
    "nodes",
    "graphs",
    "api",
    "evals",
)


def setting_groups() -> Iterator[tuple[str, type[BaseSettings]]]:
    """Yield each group of settings: its name in `Settings` and its class."""
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseSettings)
        yield name, field.annotation


def setting_variables(group: type[BaseSettings]) -> Iterator[tuple[str, str, object]]:
    """Yield the environment variable, the sentence and the default of each setting of a group."""
    for name, field in group.model_fields.items():
        variable = f"{group.model_config.get('env_prefix', '')}{name}".upper()
        assert field.description, f"{variable} has no description"
        assert field.default is not PydanticUndefined, f"{variable} has no default"
        yield variable, field.description, field.default


def all_variables() -> set[str]:
    """Return the environment variable of every setting."""
    return {
        variable for _, group in setting_groups() for variable, _, _ in setting_variables(group)
    }


def tracked_files() -> list[Path]:
    """Return every file that git tracks, or would with `git add`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
