"""The embedded server as a child process that never outlives its parent."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from core.cancel import beside
from core.errors import ModelUnavailable

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60.0  # loading the embedding model takes about one; a busy machine takes longer
_STOP_SECONDS = 5.0
_AGAIN_SECONDS = 0.5  # between the death of a server and its successor
_log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_server(*, log: Path | None = None) -> AsyncIterator[str]:
    """Run the embedded server beside this process; gives its base URL.

    A server that dies is started again at the same address.
    log: file that the server's log is appended to; without one it goes nowhere.
    Raises ModelUnavailable, with the last line of the log, when it does not start.
    """
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with beside(_keep(ready, log)) as keeping:
        waiting: list[asyncio.Future[Any]] = [ready, keeping]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            keeping.result()  # raises what kept it from starting
        yield await ready


async def _keep(ready: asyncio.Future[str], log: Path | None) -> None:
    """Keep a server running at one address until cancelled; the first start may fail."""
    port = 0
    while True:
        command = [sys.executable, "-m", "tgi", "serve", "--port", str(port), "--with-parent"]
        try:
            async with child(command, log=log) as (url, process):
                if not ready.done():
                    ready.set_result(url)
                    port = int(url.rsplit(":", 1)[1])
                await process.wait()
            _log.warning("the embedded model server died with %s", process.returncode)
        except ModelUnavailable as error:
            if not ready.done():
                raise
            _log.warning("%s", error.message)
        await asyncio.sleep(_AGAIN_SECONDS)


@asynccontextmanager
async def child(
    command: Sequence[str], *, log: Path | None = None
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run a server that announces its URL on stdout and ends when its stdin is closed."""
    with await asyncio.to_thread(_open, log) as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=_ROOT,  # the project is not installed: it is found where it lies
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            # Ctrl-C is for the parent, which still needs the model to finish its turns.
            start_new_session=os.name == "posix",
        )
        try:
            yield await _url(process, output), process
        finally:
            await _stop(process)


async def _url(process: asyncio.subprocess.Process, output: BinaryIO) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError as error:
        raise ModelUnavailable(
            f"The embedded model server did not start within {_START_SECONDS:g} s."
        ) from error
    if not line:
        await process.wait()
        raise ModelUnavailable(
            f"The embedded model server did not start: {_last_line(output)}".rstrip(": ")
        )
    return str(orjson.loads(line)["url"])


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close the pipe that keeps the child alive; kill a child that does not notice."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _open(log: Path | None) -> BinaryIO:
    if log is None:
        return tempfile.TemporaryFile()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab+")


def _last_line(output: BinaryIO) -> str:
    """Return what the server said last; the log has the rest."""
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
