"""The embedded server as a child process that never outlives its parent."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import orjson

from core.errors import ModelUnavailable

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60.0  # loading the embedding model takes about one; a busy machine takes longer
_STOP_SECONDS = 5.0
_LAST_LINES = 8


@asynccontextmanager
async def embedded_server(*, log: Path | None = None) -> AsyncIterator[str]:
    """Run the embedded server beside this process; gives its base URL.

    log: file that the server's log is appended to; without one it goes nowhere.
    Raises ModelUnavailable, with the last lines of the log, when it does not start.
    """
    command = [sys.executable, "-m", "tgi", "serve", "--port", "0", "--with-parent"]
    async with child(command, log=log) as url:
        yield url


@asynccontextmanager
async def child(command: Sequence[str], *, log: Path | None = None) -> AsyncIterator[str]:
    """Run a server that announces its URL on stdout and ends when its stdin is closed."""
    with _open(log) as output:
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
            yield await _url(process, output)
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
            f"The embedded model server did not start:\n{_last_lines(output)}".rstrip()
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


def _last_lines(output: BinaryIO) -> str:
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").splitlines()
    return "\n".join(lines[-_LAST_LINES:])
