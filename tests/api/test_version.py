"""One version."""

from __future__ import annotations

import tomllib

from api.version import VERSION
from tests.project import ROOT


def test_the_version_is_that_of_the_project() -> None:
    """What the service says is what pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION
