"""db/schema.sql: what the database is, written from what the migrations make of an empty one."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from psycopg import AsyncConnection

from core.errors import DatabaseUnusable
from db.embedded import embedded_postgres
from db.embedded.binaries import environment, find
from db.migrate import migrate
from db.sql import load

FILE = Path(__file__).with_suffix(".sql")
SQL = load(str(Path(__file__).with_name("partitions.sql")))
_HEAD = """\
-- What the database is: the sum of db/migrations, for reading.
-- Written by `python -m db schema`; a test compares the two. The tables of the checkpointer and of
-- the job queue, in schemas of their own, are their own business and not shown.

SET check_function_bodies = off;
CREATE ROLE parley_app LOGIN;
CREATE ROLE parley_sweeper NOLOGIN;
CREATE ROLE parley_auditor NOLOGIN;
CREATE ROLE parley_reader NOLOGIN CONNECTION LIMIT 8;  -- its settings: 0010_reports.sql
CREATE SCHEMA checkpoints;
GRANT USAGE ON SCHEMA checkpoints TO parley_app;
CREATE EXTENSION vector WITH SCHEMA public;
"""
_NOISE = re.compile(
    r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*|.* OWNER TO postgres;)\n",
    re.MULTILINE,
)


async def write() -> Path:
    """Write the file from a fresh database, in a server of its own; return its path."""
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_postgres(
            Path(folder) / "postgres", settings={"fsync": "off"}
        ) as server:
            await migrate(server.admin_url)
            FILE.write_text(await describe(server.admin_url), encoding="utf-8")
    return FILE


async def describe(admin_url: str) -> str:
    """Return the statements that make an empty database into this one; the owner is `postgres`."""
    arguments = ["--schema-only", "--schema=parley", "--schema=reports", f"--dbname={admin_url}"]
    async with await AsyncConnection.connect(admin_url, autocommit=True) as conn:
        rows = await (await conn.execute(SQL["partitions"])).fetchall()
    arguments += [f"--exclude-table={name}" for name, _ in rows]
    process = await asyncio.create_subprocess_exec(
        find() / "bin" / "pg_dump",
        *arguments,
        env=environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    if process.returncode != 0:
        raise DatabaseUnusable(f"pg_dump failed: {complaint.decode(errors='replace').strip()}")
    body = re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", output.decode()))
    partitions = "\n".join(f"{statement};" for _, statement in rows)
    return "\n\n".join(part.strip() for part in (_HEAD, body, partitions)) + "\n"
