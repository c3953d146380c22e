"""The audit log: who did what, when, in a chain of hashes that shows every later change.

Each entry's hash covers the one before it, so an entry cannot be changed, dropped or put in
without changing all that follow. What a chain cannot show is that its end was cut off: note the
newest `Anchor` somewhere else, and give it to `verify`.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from db import pool
from db.migrate import SEARCH_PATH
from db.pool import connection_arguments
from db.sql import load

SQL = load(__file__)
SYSTEM = "system"  # the actor where no person acted
FIRST = bytes(32)  # what the first entry takes for the hash before it
PAGE = 1000

Conn = AsyncConnection[TupleRow]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    seq: int  # 1, 2, 3 … within the tenant
    at: datetime
    kind: str
    actor: str
    subject: str
    details: dict[str, Any]
    text: str  # what the hash is made of, beside the hash before it
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """An entry's place and hash, to be kept outside the database."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        """Write it as SEQ:HEX."""
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Read SEQ:HEX; raises ValueError."""
        seq, _, digest = text.partition(":")
        anchor = cls(int(seq), bytes.fromhex(digest))
        if anchor.seq < 1 or len(anchor.hash) != len(FIRST):
            raise ValueError("an anchor is SEQ:HEX, with 64 digits")
        return anchor


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found."""

    entries: int
    head: Anchor | None  # of the newest entry; None when there are none
    fault: str = ""  # "" when the chain holds


async def append(
    conn: Conn, kind: str, *, actor: str, subject: str, details: Mapping[str, Any]
) -> int:
    """Append an entry in the caller's transaction; return its number."""
    parameters = {"kind": kind, "actor": actor, "subject": subject, "details": Jsonb(dict(details))}
    row = await (await conn.execute(SQL["append"], parameters)).fetchone()
    assert row is not None
    return int(row[0])


async def entries(
    conn: Conn, *, after: int = 0, limit: int = PAGE, subject: str | None = None
) -> list[Entry]:
    """Return the entries above a number, oldest first; about one subject where given."""
    parameters = {"after": after, "limit": limit, "subject": subject}
    cursor = await conn.execute(SQL["entries"], parameters)
    return [Entry(*row) for row in await cursor.fetchall()]


async def verify(conn: Conn, *, anchor: Anchor | None = None) -> Verdict:
    """Recompute the chain of the transaction's tenant, and compare it with an anchor.

    The first fault found is told, with the number of the entry.
    """
    previous, count = FIRST, 0
    met = anchor is None
    async for entry in _all(conn):
        count += 1
        expected = hashlib.sha256(previous + entry.text.encode()).digest()
        if entry.seq != count:
            return Verdict(count - 1, None, f"entry {count} is missing")
        if entry.previous != previous or entry.hash != expected:
            return Verdict(count - 1, None, f"entry {count} was changed")
        if anchor is not None and anchor.seq == entry.seq:
            met = anchor.hash == entry.hash
            if not met:
                return Verdict(count, None, f"entry {count} is not the one that was anchored")
        previous = entry.hash
    head = Anchor(count, previous) if count else None
    if not met and anchor is not None:
        return Verdict(count, head, f"the log ends before entry {anchor.seq}, which was anchored")
    row = await (await conn.execute(SQL["head"])).fetchone()
    if row is None:
        fault = "nothing says any more where the log ends" if count else ""
        return Verdict(count, head, fault)
    if (row[0], bytes(row[1])) != (count, previous):
        return Verdict(count, head, f"the log ends at entry {count}, not at {row[0]} as it should")
    return Verdict(count, head)


@asynccontextmanager
async def snapshot(url: str, tenant_id: str) -> AsyncIterator[Conn]:
    """Lend a connection to a tenant's log as it is now: what is appended meanwhile is not there.

    Otherwise a check of a busy log would find its end elsewhere than its entries.
    """
    async with await AsyncConnection.connect(url, **connection_arguments(url)) as conn:
        await conn.execute(pool.SQL["search_path"], {"path": SEARCH_PATH})
        async with conn.transaction():
            await conn.execute(SQL["snapshot"])
            await conn.execute(SQL["tenant"], {"tenant_id": tenant_id})
            yield conn


async def tenants(admin_url: str) -> list[str]:
    """Return whose logs there are; only an owner may know."""
    async with await AsyncConnection.connect(admin_url, **connection_arguments(admin_url)) as conn:
        cursor = await conn.execute(SQL["tenants"])
        return [tenant_id for (tenant_id,) in await cursor.fetchall()]


async def _all(conn: Conn) -> AsyncIterator[Entry]:
    after = 0
    while page := await entries(conn, after=after):
        for entry in page:
            yield entry
        after = page[-1].seq
