"""Tools of real MCP servers become tools of ours, trusted no further than they are declared."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsInvalid
from tools.mcp.offer import mcp_tools
from tools.registry import Outcome, Registry
from tools.tool import Caller, Declaration

ANN = Caller("default", "ann")
SERVER = str(Path(__file__).with_name("server.py"))
COMMAND = [sys.executable, SERVER, "stdio"]
PURE = {"effect": "none", "idempotency": "pure"}


def written(folder: Path, *servers: dict[str, Any]) -> Path:
    """Write the file of servers."""
    file = folder / "servers.json"
    file.write_text(json.dumps({"servers": servers}))
    return file


@asynccontextmanager
async def offered(
    folder: Path, *servers: dict[str, Any], **environment: str
) -> AsyncIterator[Registry]:
    """Yield the tools of servers, to be called."""
    async with mcp_tools(written(folder, *servers), environment) as tools:
        yield Registry(tools)


async def call(registry: Registry, name: str, /, **arguments: Any) -> Outcome:
    """Call a tool."""
    return await registry.call(name, arguments, ANN, key="k")


async def test_tools_of_a_process_are_untrusted_until_they_are_declared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody declared may do anything to anybody; what does not fit is left out, told once."""
    declared = {"add": PURE | {"reads_private": False, "timeout_seconds": 3}, "none_such": PURE}
    said = {"name": "mine", "command": COMMAND, "tools": declared}
    async with offered(tmp_path, said) as registry:
        names = {tool.name.removeprefix("mine__") for tool in registry}
        untold, told = registry.get("mine__process"), registry.get("mine__add")
        assert untold is not None
        assert told is not None
        long = registry.get("mine__long")
        assert long is not None
    assert names == {"add", "variable", "process", "fail", "end", "hang", "long", "slow"}
    assert untold.declaration == Declaration(
        *("external", "none"), reads_private=True, reads_untrusted=True, hosts=frozenset({"*"})
    )
    assert told.declaration.effect == "none"
    assert told.declaration.timeout_seconds == 3
    assert told.declaration.reads_untrusted
    assert len(long.description) == 1000
    warnings = [r.message for r in caplog.records if r.name == "tools.mcp.offer"]
    assert warnings == ["tools that cannot be offered: bad name!, none_such, remote"]


async def test_calls_of_a_process(tmp_path: Path) -> None:
    """Results carry their source, faults are told, and only named variables are passed on."""
    declared = {"fail": PURE, "variable": PURE}
    said = {"name": "mine", "command": COMMAND, "environment": ["GIVEN"], "tools": declared}
    async with offered(tmp_path, said, GIVEN="yes", KEPT="no") as registry:
        sums = await asyncio.gather(*(call(registry, "mine__add", a=n, b=1) for n in range(5)))
        assert [one.text for one in sums] == ["1", "2", "3", "4", "5"]
        assert sums[0] == Outcome("ok", "1", sources=("mcp:mine",))
        assert (await call(registry, "mine__add", a="x", b=1)).code == "arguments_invalid"
        failed = await call(registry, "mine__fail")
        assert (failed.status, failed.sources) == ("refused", ("mcp:mine",))
        assert "no such row" in failed.text
        for name, value in (("GIVEN", "yes"), ("KEPT", "(not set)")):
            assert (await call(registry, "mine__variable", name=name)).text == value


async def test_an_error_of_a_tool_with_an_effect_is_its_result(tmp_path: Path) -> None:
    """It ran as far as it got; "refused" would invite to run it again."""
    async with offered(tmp_path, {"name": "mine", "command": COMMAND}) as registry:
        failed = await call(registry, "mine__fail")
    assert failed.status == "ok"
    assert "reports an error" in failed.text
    assert "no such row" in failed.text


async def test_a_process_that_ended_is_started_again(tmp_path: Path) -> None:
    """The call that it ended in may have had its effect; the next one finds a new process."""
    async with offered(tmp_path, {"name": "mine", "command": COMMAND}) as registry:
        first = await call(registry, "mine__process")
        assert (await call(registry, "mine__process")).text == first.text
        ended = await call(registry, "mine__end")
        assert (ended.code, ended.may_have_run) == ("remote_unavailable", True)
        again = await call(registry, "mine__process")
        assert again.status == "ok"
        assert again.text != first.text


async def test_a_tool_that_hangs_is_given_up_and_does_not_block_the_next(tmp_path: Path) -> None:
    """A process that does not answer any more is replaced."""
    slow = {"hang": {"effect": "external", "idempotency": "none", "timeout_seconds": 0.3}}
    said = {"name": "mine", "command": COMMAND, "tools": slow}
    async with offered(tmp_path, said) as registry:
        hung = await call(registry, "mine__hang")
        assert (hung.code, hung.may_have_run) == ("tool_timeout", True)
        assert (await call(registry, "mine__add", a=1, b=1)).text == "2"


async def test_a_server_that_is_down_only_lacks_its_tools(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The start goes on with one warning for each, and other servers are there."""
    down: list[dict[str, Any]] = [
        {"name": "absent", "command": ["/no/such/command"]},
        {"name": "ended", "command": [sys.executable, "-c", "pass"]},
        {"name": "chatting", "command": [sys.executable, "-c", "print('hello')"]},
        {"name": "far", "url": "http://127.0.0.1:9/mcp"},
    ]
    async with offered(tmp_path, *down, {"name": "mine", "command": COMMAND}) as registry:
        assert {tool.name.partition("__")[0] for tool in registry} == {"mine"}
        assert (await call(registry, "mine__add", a=1, b=1)).text == "2"
    absent = {r.message for r in caplog.records if "absent:" in r.message}
    assert absent == {
        f"its tools are absent: MCP server {one['name']} cannot be reached." for one in down
    }


async def test_tools_over_http(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server at a URL works the same; its token is in no log."""
    caplog.set_level(logging.DEBUG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, SERVER, "http", str(port))
    try:
        await answering(port)
        url = f"http://127.0.0.1:{port}/mcp"
        said = {"name": "far", "url": url, "token_variable": "FAR_TOKEN"}
        async with offered(tmp_path, said, FAR_TOKEN="sesame-4711") as registry:
            outcome = await call(registry, "far__add", a=2, b=3)
            assert (outcome.status, outcome.text) == ("ok", "5")
            tool = registry.get("far__add")
            assert tool is not None
            assert tool.declaration.hosts == {"127.0.0.1"}
            process.kill()
            await process.wait()
            gone = await call(registry, "far__add", a=2, b=3)
            assert (gone.code, gone.may_have_run) == ("remote_unreachable", False)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "sesame-4711" not in caplog.text


async def answering(port: int) -> None:
    """Return once something listens on a port."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


async def test_without_a_file_there_are_no_tools() -> None:
    """The setting is empty by default."""
    async with mcp_tools(None, {}) as tools:
        assert tools == []


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({}, "either `command` or `url`"),
        ({"command": ["x"], "url": "http://a.example"}, "either `command` or `url`"),
        ({"command": []}, "at least 1"),
        ({"url": "ftp://a.example"}, "pattern"),
        ({"url": "http://a.example", "environment": ["A"]}, "`environment`"),
        ({"command": ["x"], "token_variable": "A"}, "`token_variable`"),
        ({"command": ["x"], "environment": ["NOT_SET"]}, "no NOT_SET"),
        ({"url": "http://a.example", "token_variable": "NOT_SET"}, "no NOT_SET"),
        ({"command": ["x"], "name": "a__b"}, "name"),
        ({"command": ["x"], "tools": {"a": {"effect": "external"}}}, "idempotency"),
        (
            {"command": ["x"], "tools": {"a": {"effect": "external", "idempotency": "keyed"}}},
            "no idempotency keys",
        ),
    ],
)
async def test_a_file_that_is_wrong_is_refused_at_the_start(
    tmp_path: Path, server: dict[str, Any], told: str
) -> None:
    """The error names the variable and what is wrong."""
    file = written(tmp_path, {"name": "mine"} | server)
    with pytest.raises(SettingsInvalid, match="TOOLS_MCP_FILE: ") as refused:
        async with mcp_tools(file, {}):
            pass
    assert told in str(refused.value)
