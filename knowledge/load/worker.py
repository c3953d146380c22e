"""The reading process: `python -m knowledge.load.worker LIMIT_BYTES TIMEOUT_SECONDS`.

Paths come on stdin, each ended by NUL; what is in them goes to stdout as frames: eight bytes
of length, then JSON. The last frame of a path is `null`.
Parsers of hostile files may hang, crash or eat memory: here the kernel ends that, and the parent
starts another process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from core.errors import DocumentError, DocumentTooLarge, DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.formats import load

MEMORY_BYTES = 2 << 30  # address space; the libraries themselves map 0.6 GiB of it


def main(limit_bytes: int, timeout_seconds: float) -> None:
    """Read paths until stdin ends."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a parser prints must not look like a frame
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends us
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # without a parent there is nothing to do
    logging.disable(logging.CRITICAL)  # parsers tell their own story of each damaged file
    warnings.simplefilter("ignore")
    _limit_memory()
    for path in _paths(sys.stdin.buffer):
        _answer(output, Path(os.fsdecode(path)), limit_bytes, timeout_seconds)


def _answer(output: BinaryIO, path: Path, limit_bytes: int, timeout_seconds: float) -> None:
    """Write everything that is in one file."""
    contents = _contents(path, limit_bytes)
    while True:
        # The default action of SIGALRM ends the process, also inside a library's C code.
        # It runs while we read, not while the parent is busy and lets us wait.
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
        found = next(contents, None)
        frame = orjson.dumps(found)
        signal.setitimer(signal.ITIMER_REAL, 0)
        output.write(len(frame).to_bytes(8, "big") + frame)
        output.flush()
        if found is None:
            return


def _contents(path: Path, limit_bytes: int) -> Iterator[dict[str, Any]]:
    """Yield documents and failures as they are sent."""
    try:
        for line, found in load(path, limit_bytes):
            yield _frame(line, found)
    except DocumentError as error:
        yield _frame(0, error)
    except MemoryError:
        yield _frame(0, DocumentTooLarge("Reading it takes more memory than is allowed."))
    except Exception as error:  # noqa: BLE001  # hostile bytes make parsers raise anything
        yield _frame(0, DocumentUnreadable(f"Reading it failed: {type(error).__name__}: {error}"))


def _frame(line: int, found: Document | Exception) -> dict[str, Any]:
    if isinstance(found, DocumentError):
        message = found.message.encode("utf-8", "replace").decode()
        return {"line": line, "error": found.code, "message": message}
    return {"line": line, "document": found}


def _paths(source: BinaryIO) -> Iterator[bytes]:
    """Yield what stdin holds up to each NUL, as soon as it is there."""
    pending = b""
    while data := os.read(source.fileno(), 1 << 16):
        *paths, pending = (pending + data).split(b"\0")
        yield from paths


def _limit_memory() -> None:
    """Bound the address space where the system can, so that a bomb fails instead of the host."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows and macOS cannot
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        bound = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
