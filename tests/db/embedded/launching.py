"""What the tests of the launcher share: processes that use a folder, and looking at servers."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
User = Callable[[Path], subprocess.Popen[str]]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

_USE = """
from pathlib import Path
import psycopg
from db.embedded import join
postgres = join(Path({folder!r}))
with psycopg.connect(postgres.admin_url) as conn:
    print(conn.execute("select 1").fetchone()[0], postgres.pid is not None)
postgres.leave()
"""


def use(folder: Path) -> str:
    """Return a program that uses the database of a folder once."""
    return _USE.format(folder=str(folder))


def as_ordinary_user(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as user `daemon` of a namespace, where root's files are its own."""
    daemon = pwd.getpwnam("daemon")
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "db" / "embedded" / "namespace.py")),
            *(str(daemon.pw_uid), str(daemon.pw_gid), *command),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if "CLONE_NEWUSER" in done.stderr:
        pytest.skip("user namespaces are not allowed here")
    return done


def servers_of(folder: Path) -> list[psutil.Process]:
    """Return the server processes (not their workers) of a data folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "name"])
        if process.info["name"] == "postgres"
        and str(folder / "data") in (process.info["cmdline"] or ())
    ]


def kill(pid: int | None) -> None:
    """Kill a server at once, and return when the kernel has taken it away."""
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)


def said(process: subprocess.Popen[str]) -> list[str]:
    """Return the URL and the process id that a user printed."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate()[1])
    return line.split()


def end(process: subprocess.Popen[str]) -> None:
    """Let a user leave."""
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint


def ask(url: str, statement: str) -> object:
    """Return the one value of a query."""
    with psycopg.connect(url) as conn:
        row = conn.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def run(url: str, statement: str) -> None:
    """Run a statement and commit."""
    with psycopg.connect(url) as conn:
        conn.execute(statement.encode())


def answers(url: str) -> bool:
    """Tell whether a connection succeeds."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
