"""The embedded server as a child process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

from core.errors import AddressRefused, ModelUnavailable, PortInUse
from tgi.embedded.serve import address, announce, listen
from tgi.spawn import child, embedded_server

ROOT = Path(__file__).resolve().parents[2]
SCRIPTED = [sys.executable, "-m", "tests.tgi.scripted_server"]
# A parent that starts the server, tells where it is, and waits to be killed.
PARENT = f"""
import asyncio, os
from tgi.spawn import child

async def main():
    async with child({SCRIPTED!r}) as (url, _):
        print(url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_child_serves_and_ends() -> None:
    """The child answers while the context is open; afterwards it is gone."""
    me = psutil.Process()
    before = set(me.children())
    async with child(SCRIPTED) as (url, _), httpx.AsyncClient(base_url=url) as client:
        (process,) = set(me.children()) - before
        assert (await client.get("/info")).json()["model_id"] == "parley-extractive"
    assert not process.is_running()


async def test_the_child_ends_with_a_killed_parent() -> None:
    """After kill -9 of its parent the child ends by itself."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    url = (await parent.stdout.readline()).decode().strip()
    (server,) = psutil.Process(parent.pid).children()
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/health")).status_code == 200
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await asyncio.to_thread(server.wait, 60)
    assert not server.is_running()


async def test_a_child_that_does_not_start(tmp_path: Path) -> None:
    """ModelUnavailable shows the last line that the child wrote; the log keeps all."""
    log = tmp_path / "logs" / "model.log"
    code = "import sys; sys.exit('first\\nno such weights')"
    with pytest.raises(ModelUnavailable, match="no such weights"):
        async with child([sys.executable, "-c", code], log=log):
            pass
    assert "no such weights" in log.read_text()


async def test_a_child_that_was_killed(tmp_path: Path) -> None:
    """A child that died meanwhile is no trouble when the context ends."""
    me = psutil.Process()
    before = set(me.children())
    async with child(SCRIPTED):
        (process,) = set(me.children()) - before
        process.kill()


async def test_the_real_thing() -> None:
    """`python -m tgi serve` starts with the extractive model and answers."""
    async with embedded_server() as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert (await client.get("/info")).json()["model_id"] == "parley-extractive"
        question = {"messages": [{"role": "user", "content": "Hello"}]}
        answer = (await client.post("/v1/chat/completions", json=question)).json()
        assert answer["choices"][0]["message"]["content"]


async def test_a_server_that_dies_is_started_again() -> None:
    """After kill -9 of the server it answers again, at the same address."""
    me = psutil.Process()
    before = set(me.children())
    transport = httpx.AsyncHTTPTransport(retries=12)  # it listens again once the model is loaded
    async with (
        embedded_server() as url,
        httpx.AsyncClient(base_url=url, timeout=60, transport=transport) as client,
    ):
        (process,) = set(me.children()) - before
        process.kill()
        await asyncio.to_thread(process.wait, 60)
        assert (await client.get("/info")).json()["model_id"] == "parley-extractive"
    assert set(me.children()) == before


async def test_the_command_says_why_it_cannot_start() -> None:
    """A taken port is one sentence and exit status 1, not a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tgi", "serve", "--port", str(port)),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().strip() == f"Port {port} is in use; choose another with --port."


def test_port_in_use() -> None:
    """A taken port is PortInUse and names the option."""
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(PortInUse, match="--port"):
            listen("127.0.0.1", port)


def test_this_machine_only() -> None:
    """An address that others can reach is refused; names of this machine are not."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(AddressRefused):
            listen(host, 0)
    with listen("localhost", 0) as bound:
        assert address(bound).startswith("http://127.0.0.1:")


def test_the_announcement_is_one_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The parent reads one line of JSON with the URL."""
    with listen("127.0.0.1", 0) as bound:
        announce(bound)
        assert orjson.loads(capfdbinary.readouterr().out) == {"url": address(bound)}
