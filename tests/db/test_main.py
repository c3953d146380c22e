"""python -m db."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[2]


def test_migrate_and_status(tmp_path: Path) -> None:
    """`migrate` makes the schema once, `status` says whether it is current."""
    assert "run `python -m db migrate`" in run(tmp_path, "status").stderr
    first = run(tmp_path, "migrate")
    assert "applied 0001_conversations" in first.stdout, first.stderr
    assert run(tmp_path, "migrate").stdout == "up to date\n"
    status = run(tmp_path, "status")
    assert "schema is current" in status.stdout, status.stderr


def test_url(tmp_path: Path) -> None:
    """`url` prints an address that works until Ctrl-C, and the server stops with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "db", "url", "--admin"],
        cwd=ROOT,
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    with psycopg.connect(url) as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert not (tmp_path / "postgres" / "data" / "postmaster.pid").exists()


def test_what_is_wrong_is_a_sentence(tmp_path: Path, database_url: str) -> None:
    """Expected failures are sentences with what to do, not tracebacks."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.docx").touch()
    done = run(tmp_path, "status")
    assert done.returncode == 1
    assert "holds other files" in done.stderr
    assert "DATABASE_FOLDER" in done.stderr
    done = run(tmp_path, "migrate", url=database_url)
    assert "DATABASE_ADMIN_URL" in done.stderr
    done = run(tmp_path, "status", url="postgresql://nobody@/nothing?host=/nowhere")
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def run(folder: Path, *command: str, url: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command on the embedded database of a folder, or on a URL."""
    return subprocess.run(
        [sys.executable, "-m", "db", *command],
        cwd=ROOT,
        env={**environment(folder), "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def environment(folder: Path) -> dict[str, str]:
    """Return an environment with an embedded database in a folder."""
    return {**os.environ, "DATABASE_FOLDER": str(folder / "postgres"), "DATABASE_ADMIN_URL": ""}
