"""`make` finds a Python that works, sets itself up once, and says what is missing in a sentence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

PYTHON = Path(sys.prefix if sys.prefix == sys.base_prefix else sys.base_prefix) / "bin/python3"
TOOLS = ("make", "sh", "rm", "date", "touch", "find")
API = "import sys\nprint('run with', sys.argv[1:])\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose path has a space, with nothing to install and an api that says its name."""
    folder = tmp_path / "a checkout"
    (folder / "api").mkdir(parents=True)
    (folder / "api" / "__init__.py").touch()
    (folder / "api" / "__main__.py").write_text(API, encoding="utf-8")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (folder / name).touch()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder for the PATH that holds what make needs, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return folder


def program(folder: Path, name: str, script: str) -> None:
    """Put a program on the PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def make(checkout: Path, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make with this PATH alone."""
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout,
        env={"PATH": str(path), "HOME": str(checkout), "PIP_NO_INDEX": "1"},
        check=False,
        capture_output=True,
        text=True,
    )


def test_run_needs_nothing_but_a_python(checkout: Path, path: Path) -> None:
    """`make run` makes its environment, says how long that took, and runs; then it just runs."""
    # Shims of version managers are on the PATH for versions that are not installed.
    program(path, "python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    program(path, "python3", f"exec '{PYTHON}' \"$@\"")

    first = make(checkout, path, "run")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "Set up in" in first.stdout
    assert first.stdout.endswith("run with ['run', 'README.md', 'CHANGELOG.md', 'docs']\n")

    second = make(checkout, path, "run", "DOCS=my documents")
    assert second.stdout == "run with ['run', 'my documents']\n"

    # The interpreter was upgraded or moved: its link leads nowhere.
    (checkout / ".venv/bin/python").unlink()
    (checkout / ".venv/bin/python").symlink_to(path / "gone")
    third = make(checkout, path, "run")
    assert "Set up in" in third.stdout
    assert "run with" in third.stdout

    (checkout / ".parley").mkdir()
    assert make(checkout, path, "clean").returncode == 0
    assert not (checkout / ".venv").exists()
    assert (checkout / ".parley").exists()


def test_without_a_python_it_says_which_one_is_needed(checkout: Path, path: Path) -> None:
    """An old Python is no Python; the sentence names the versions."""
    program(path, "python3", "exit 1")
    result = make(checkout, path, "run")
    assert result.returncode != 0
    assert "Parley needs Python 3.11, 3.12 or 3.13 on the PATH" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_explained(checkout: Path, path: Path) -> None:
    """Debian's python3 cannot make environments by itself; the sentence names the package."""
    program(
        path,
        "python3",
        f'case "$2" in *ensurepip*) exit 1;; esac; exec \'{PYTHON}\' "$@"',
    )
    result = make(checkout, path, "run")
    assert result.returncode != 0
    assert "apt install python3-venv" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_failed_installation_is_tried_again(checkout: Path, path: Path) -> None:
    """A set-up that broke off is not taken for a finished one."""
    program(path, "python3", f"exec '{PYTHON}' \"$@\"")
    (checkout / "requirements.lock").write_text("absent==1.0 --hash=sha256:00\n", encoding="utf-8")
    assert make(checkout, path, "run").returncode != 0
    again = make(checkout, path, "run")
    assert again.returncode != 0
    assert "run with" not in again.stdout


def test_help_names_every_target(checkout: Path, path: Path) -> None:
    """`make` alone changes nothing and says what there is."""
    result = make(checkout, path)
    targets = {line.split()[1] for line in result.stdout.splitlines()}
    assert targets == {
        "run",
        "test",
        "test-llamacpp",
        "faults",
        "check",
        "studio",
        "lock",
        "env",
        "clean",
    }
    assert sorted(entry.name for entry in checkout.iterdir()) == [
        "Makefile",
        "api",
        "requirements-dev.lock",
        "requirements.lock",
    ]


def test_ci_runs_what_a_laptop_runs() -> None:
    """CI is `make test` from a fresh clone; what is not installed by the Makefile is missing."""
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
