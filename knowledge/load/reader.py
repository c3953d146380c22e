"""The parent's side of the reading process: a file in, documents and failures out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from core.errors import DocumentError, DocumentUnreadable
from knowledge.load.document import Document, Part

ROOT = Path(__file__).resolve().parents[2]
ERRORS: dict[str, type[DocumentError]] = {e.code: e for e in DocumentError.__subclasses__()}
# Whoever parses strangers' files gets none of our secrets, which live in the environment.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_", "TZ", "TMP", "PYTHON", "VIRTUAL_ENV", "LD_LIBRARY_")
# Each thread of a numeric library would reserve address space; none is needed.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Reader:
    """Reads files in another process, one at a time; a file that ends it costs only itself."""

    def __init__(self, limit_bytes: int, timeout_seconds: float) -> None:
        self._limit_bytes = limit_bytes
        self._timeout_seconds = timeout_seconds
        self._process: Process | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, *, limit_bytes: int, timeout_seconds: float) -> AsyncIterator[Reader]:
        """Give a reader whose process starts with the first file.

        limit_bytes: larger files (and larger lines of JSON Lines) are refused.
        timeout_seconds: a document that takes longer is given up.
        """
        reader = cls(limit_bytes, timeout_seconds)
        try:
            yield reader
        finally:
            await reader._end()

    async def read(self, path: Path) -> AsyncGenerator[tuple[int, Document | DocumentError]]:
        """Yield (line, document or error) from the file at an absolute path.

        The line is 0 unless the file holds a document a line.
        Never raises for what is in the file.
        """
        process = await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        whole = False
        try:
            process.stdin.write(os.fsencode(path) + b"\0")
            await process.stdin.drain()
            while True:
                size = int.from_bytes(await process.stdout.readexactly(8), "big")
                frame = orjson.loads(await process.stdout.readexactly(size))
                if frame is None:
                    whole = True
                    return
                yield frame["line"], _content(frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            yield 0, DocumentUnreadable(self._why(await process.wait()))
        finally:
            if not whole:
                await self._end()

    async def _start(self) -> Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "knowledge.load.worker"),
                *(str(self._limit_bytes), str(self._timeout_seconds)),
                stdin=PIPE,
                stdout=PIPE,
                cwd=ROOT,
                env=_environment(),
            )
        return self._process

    async def _end(self) -> None:
        """End the process: between two files, or because of one."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()  # it holds nothing that could be lost
        await process.communicate()  # also closes the pipes

    def _why(self, status: int) -> str:
        if status == -signal.SIGALRM:
            return f"Reading it took more than {self._timeout_seconds:g} s, so it was given up."
        return "Reading it ended the reading process, so it was given up."


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)} | ONE_THREAD


def _content(frame: dict[str, Any]) -> Document | DocumentError:
    if "error" in frame:
        return ERRORS[frame["error"]](frame["message"])
    document = frame["document"]
    parts = tuple(Part(**part) for part in document.pop("parts"))
    created, modified = _date(document.pop("created")), _date(document.pop("modified"))
    return Document(parts=parts, created=created, modified=modified, **document)


def _date(written: str | None) -> datetime | None:
    return None if written is None else datetime.fromisoformat(written)
