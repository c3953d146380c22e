"""Data folders and processes for the tests of the launcher."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.embedded import join
from tests.db.embedded.launching import (
    HERE,
    ROOT,
    User,
    servers_of,
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder to be made; a server that a failed test left there is stopped."""
    chosen = tmp_path / "postgres"
    yield chosen
    for process in servers_of(chosen):
        process.send_signal(signal.SIGQUIT)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are for one user only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that was used before and is copied by tests: making one takes longer."""
    chosen = tmp_path_factory.mktemp("made") / "postgres"
    join(chosen).leave()
    return chosen


@pytest.fixture
def made(made_once: Path, folder: Path) -> Path:
    """A data folder that was used before."""
    shutil.copytree(made_once, folder)
    return folder


@pytest.fixture
def user() -> Iterator[User]:
    """Start processes that use a data folder; they are gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "user.py"), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
