"""Nothing leaves the machine: no telemetry, no price list, no model, no documentation script."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.offline import spied
from tests.project import ROOT

NAMESPACES = (
    ["unshare", "--net", "--mount"],
    ["unshare", "--user", "--map-root-user", "--net", "--mount"],
)


def namespace() -> list[str] | None:
    """Return how to get a network of one's own here, or None."""
    if not shutil.which("ip") or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return None
    for command in NAMESPACES:
        try:
            if subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0:
                return command
        except OSError:
            continue
    return None


def session(folder: Path, *, command: list[str]) -> dict[str, Any]:
    """Run the everyday session of tests.offline and return its report."""
    result = subprocess.run(
        [*command, sys.executable, "-m", "tests.offline", str(folder)]
        + (["--namespace"] if command else []),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report


def check(report: dict[str, Any]) -> None:
    """Assert that the session took place, under the eyes of the spy, and stayed here."""
    assert "Jonas Peel" in report["answer"]
    for part in ("-m api run", "-m tgi serve", "-m knowledge.load.worker", "-m knowledge ingest"):
        assert any(part in command for command in report["started"]), part
    assert report["attempts"] == []


def test_no_python_process_tries_to_leave(tmp_path: Path) -> None:
    """Start, read documents, chat, ingest, stop: no process looks a name up or connects out."""
    check(session(tmp_path, command=[]))


def test_no_packet_leaves(tmp_path: Path) -> None:
    """In a network of its own, the same session sends no packet to anything but loopback."""
    command = namespace()
    if command is None:
        pytest.skip("namespaces, `ip` and /dev/net/tun are not all available here")
    report = session(tmp_path, command=command)
    check(report)
    assert report["packets"] == []


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.7', 443), 1)",
        "import urllib.request as u; u.urlopen('http://telemetry.invalid')",
        "from socket import *; socket(type=SOCK_DGRAM).sendto(b'x', ('192.0.2.7', 53))",
        "import socket; socket.socket().bind(('0.0.0.0', 0))",
    ],
)
def test_the_spy_catches_who_tries(tmp_path: Path, attempt: str) -> None:
    """A connection, a look-up, a datagram and an open port are all refused and recorded."""
    log = tmp_path / "spy.jsonl"
    result = subprocess.run(
        [sys.executable, "-c", attempt],
        env={"PATH": os.environ["PATH"], **spied(log)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "this machine is not left" in result.stderr
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [record["event"].startswith("socket.") for record in records[1:]] == [True]


def test_the_network_catches_who_tries(tmp_path: Path) -> None:
    """Packets and look-ups of a process without the spy are seen, and the names with them."""
    command = namespace()
    if command is None:
        pytest.skip("namespaces, `ip` and /dev/net/tun are not all available here")
    code = (
        "import contextlib, pathlib, socket, sys\n"
        "from tests.offline import network\n"
        "with network(pathlib.Path(sys.argv[1])) as seen:\n"
        "    socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.7', 443))\n"
        "    with contextlib.suppress(OSError): socket.getaddrinfo('telemetry.invalid', 443)\n"
        "print(*dict.fromkeys(seen), sep=', ')\n"
    )
    result = subprocess.run(
        [*command, sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.stdout == "192.0.2.7, 192.0.2.53 telemetry.invalid\n", result.stderr


def test_loopback_is_not_refused(tmp_path: Path) -> None:
    """The spy lets a process talk to itself, by name and by address, and over Unix sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = (
            "import socket\n"
            f"socket.create_connection(('localhost', {port})).close()\n"
            f"socket.create_connection(('127.0.0.1', {port})).close()\n"
            "a, b = socket.socketpair(); a.send(b'x'); b.recv(1)\n"
        )
        log = tmp_path / "spy.jsonl"
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], **spied(log)},
            check=True,
        )
    assert len(log.read_text(encoding="utf-8").splitlines()) == 1
