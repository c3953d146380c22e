"""The bytes of uploads, kept in the database until a worker has read them.

A folder would be gone with its machine and unknown to the other replicas. Pieces of a mebibyte
keep the memory small on both sides.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from db.pool import Database
from db.sql import load

SQL = load(__file__)
SCHEME = "upload:"
PIECE_BYTES = 1 << 20
MAX_NAME_BYTES = 200  # of a file, below what file systems take

Conn = AsyncConnection[TupleRow]


def uri_of(name: str) -> str:
    """Return the uri of the document that was uploaded under a name."""
    return f"{SCHEME}/{quote(name, safe='')}"


async def store(conn: Conn, ingestion_id: UUID, content: BinaryIO, *, tenant_id: str) -> None:
    """Store an upload, from where `content` stands to its end."""
    ordinal = 0
    while piece := await asyncio.to_thread(content.read, PIECE_BYTES):
        key = {"tenant_id": tenant_id, "ingestion_id": ingestion_id}
        await conn.execute(SQL["put_piece"], key | {"ordinal": ordinal, "content": piece})
        ordinal += 1


@asynccontextmanager
async def as_file(
    database: Database, ingestion_id: UUID, *, tenant_id: str, name: str
) -> AsyncIterator[Path]:
    """Give an upload as a file of this name in a folder of its own, gone with the block."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="parley-"))
    try:
        path = folder / _file_name(name)
        with await asyncio.to_thread(path.open, "wb") as file:
            ordinal = 0
            while piece := await _piece(database, ingestion_id, ordinal, tenant_id=tenant_id):
                await asyncio.to_thread(file.write, piece)
                ordinal += 1
        yield path
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _piece(
    database: Database, ingestion_id: UUID, ordinal: int, *, tenant_id: str
) -> bytes | None:
    key = {"tenant_id": tenant_id, "ingestion_id": ingestion_id, "ordinal": ordinal}
    async with database.transaction(tenant_id) as conn:
        row = await (await conn.execute(SQL["piece"], key, binary=True)).fetchone()
    return None if row is None else bytes(row[0])


def _file_name(name: str) -> str:
    """Return a name that no file system refuses; its ending, which tells the format, stays."""
    path = Path(name.replace("/", "_").replace("\\", "_").replace("\0", "_"))
    suffix = path.suffix[:20]
    stem = path.stem.encode()[: MAX_NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
    return f"{stem or 'upload'}{suffix}"
