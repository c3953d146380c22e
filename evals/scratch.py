"""A whole Parley for one measurement: its own data folder, its own port, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 900  # ingestion included, on a busy machine
# Printed once the documents are in; an address alone is printed before that.
_READY = re.compile(r"^ready in .*(http://127\.0\.0\.1:\d+)")


class ScratchFailed(Exception):
    """The server for the measurement did not start."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A running server and the process it is."""

    url: str
    pid: int
    folder: Path


@asynccontextmanager
async def scratch_server(
    documents: Sequence[Path] = (), settings: dict[str, str] | None = None
) -> AsyncIterator[Scratch]:
    """Run `python -m api run DOCUMENTS` in a fresh data folder until the block ends.

    settings: environment variables on top of the defaults; this process's own are left out,
    so that a measurement does not depend on who takes it.
    Raises ScratchFailed with the server's last lines.
    """
    with tempfile.TemporaryDirectory(prefix="parley-eval-") as name:
        folder = Path(name)
        environment = {
            **{k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}},
            "PYTHONUNBUFFERED": "1",
            "DATABASE_FOLDER": str(folder / "postgres"),
            "API_PORT": "0",
            "CACHE_ENABLED": "false",  # what is measured is the turn
            **(settings or {}),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "api", "run", *map(str, documents)),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        lines: list[str] = []
        reader = asyncio.create_task(_read(process, lines))
        try:
            url = await asyncio.wait_for(_address(reader, lines), START_SECONDS)
            yield Scratch(url, process.pid, folder)
        except TimeoutError as error:
            raise ScratchFailed("\n".join(lines[-20:])) from error
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            await reader


async def _read(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        lines.append(line.decode(errors="replace").rstrip())


async def _address(reader: asyncio.Task[None], lines: list[str]) -> str:
    """Wait until the server says that it is ready; return its address."""
    read = 0
    while not reader.done() or read < len(lines):
        for line in lines[read:]:
            if match := _READY.search(line):
                return match.group(1)
        read = len(lines)
        await asyncio.sleep(0.1)
    raise ScratchFailed("\n".join(lines[-20:]))
