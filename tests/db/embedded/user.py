"""A process that uses the database of a folder until its standard input ends.

Usage: python user.py FOLDER. Prints the URL of the owner and the server's process id.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TextIO

from core.errors import ParleyError
from db.embedded import embedded_postgres


async def main(folder: Path) -> None:
    """Use the database."""
    async with embedded_postgres(folder) as postgres:
        sys.stdout.write(f"{postgres.admin_url} {postgres.pid}\n")
        sys.stdout.flush()
        await ended(sys.stdin)


async def ended(stream: TextIO) -> None:
    """Return when the stream ends; a thread of asyncio's own would outlast Ctrl-C."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        stream.read()
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=read, daemon=True).start()
    await done.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except ParleyError as error:
        sys.exit(f"{error.code}: {error} {error.hint or ''}")
