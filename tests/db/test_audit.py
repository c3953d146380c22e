"""Nobody changes the audit log without being found out."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, sql
from psycopg.errors import RaiseException

from db import audit
from db.audit import Anchor, Verdict
from db.pool import Database

ROOT = Path(__file__).parents[2]
ENTRIES = 5


@pytest.fixture
async def anchor(database: Database, tenant: str) -> Anchor:
    """A log with some entries, and the anchor of its newest."""
    await write(database, tenant, ENTRIES)
    await write(database, "other", 2)
    found = (await verify(database, tenant)).head
    assert found is not None
    return found


async def write(database: Database, tenant: str, count: int) -> None:
    """Append entries, each in a transaction of its own."""
    for number in range(count):
        async with database.transaction(tenant) as conn:
            details = {"number": number, "text": "ä€\U0001f600", "deep": {"b": [1, 2.5], "a": None}}
            await audit.append(conn, "action.done", actor="ann", subject="call", details=details)


async def verify(database: Database, tenant: str, anchor: Anchor | None = None) -> Verdict:
    """Check the log of a tenant."""
    async with audit.snapshot(database.url, tenant) as conn:
        return await audit.verify(conn, anchor=anchor)


async def tamper(admin_url: str, statement: str) -> None:
    """Do as the owner what triggers would refuse."""
    async with await AsyncConnection.connect(admin_url) as conn:
        await conn.execute("set search_path = parley")
        await conn.execute("set session_replication_role = replica")
        await conn.execute(sql.SQL(statement))


async def test_a_whole_log_holds(database: Database, tenant: str, anchor: Anchor) -> None:
    """The chain of each tenant begins at 1 and holds; an anchor is found in it."""
    assert await verify(database, tenant, anchor) == Verdict(ENTRIES, anchor)
    assert (await verify(database, "other")).entries == 2
    assert await verify(database, "nobody") == Verdict(0, None)
    await write(database, tenant, 2)
    assert (await verify(database, tenant, anchor)).entries == ENTRIES + 2


async def test_entries_by_subject(database: Database, tenant: str, anchor: Anchor) -> None:
    """In order, and only those about it."""
    async with database.transaction(tenant) as conn:
        await audit.append(conn, "run.begun", actor="system", subject="other", details={})
        found = await audit.entries(conn, subject="call")
        assert [entry.seq for entry in found] == [1, 2, 3, 4, 5]
        assert [entry.seq for entry in await audit.entries(conn, after=4, limit=1)] == [5]


async def test_two_at_once_do_not_take_the_same_place(database: Database, tenant: str) -> None:
    """Eight write at the same time: one chain without gaps."""
    await asyncio.gather(*(write(database, tenant, 5) for _ in range(8)))
    assert (await verify(database, tenant)).entries == 40
    assert (await verify(database, tenant)).fault == ""


async def test_what_is_undone_leaves_no_gap(database: Database, tenant: str) -> None:
    """An entry of a transaction that fails is none."""
    await write(database, tenant, 1)
    with pytest.raises(RuntimeError):
        await fail(database, tenant)
    await write(database, tenant, 1)
    assert await verify(database, tenant) == Verdict(2, (await verify(database, tenant)).head)


async def fail(database: Database, tenant: str) -> None:
    """Write an entry, and fail."""
    async with database.transaction(tenant) as conn:
        await audit.append(conn, "action.done", actor="ann", subject="call", details={})
        raise RuntimeError


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_log set actor = 'eve'",
        "update audit_log set actor = 'eve' where false",
        "delete from audit_log",
        "truncate audit_log",
        "insert into audit_log select tenant_id, 99, at, kind, actor, subject, details, previous,"
        " hash from audit_log where seq = 1",
    ],
)
async def test_even_the_owner_is_refused(
    database: Database, admin_url: str, tenant: str, anchor: Anchor, statement: str
) -> None:
    """Changing, deleting, emptying, and adding without audit(): the triggers refuse it."""
    async with await AsyncConnection.connect(admin_url, autocommit=True) as conn:
        await conn.execute("set search_path = parley")
        with pytest.raises(RaiseException, match="only ever appended to"):
            await conn.execute(sql.SQL(statement))
    assert await verify(database, tenant, anchor) == Verdict(ENTRIES, anchor)


MINE = "tenant_id = 'default'"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        *(
            (f"update audit_log set {change} where {MINE} and seq = 3", "entry 3 was changed")
            for change in (
                "actor = 'eve'",
                "kind = 'action.failed'",
                "subject = 'x'",
                "at = at + interval '1 microsecond'",
                "details = details || '{\"number\": 9}'",
                "hash = sha256('')",
                "previous = sha256('')",
            )
        ),
        (f"delete from audit_log where {MINE} and seq = 3", "entry 3 is missing"),
        (f"delete from audit_log where {MINE} and seq = 1", "entry 1 is missing"),
        (f"update audit_log set seq = 9 where {MINE} and seq = 5", "entry 5 is missing"),
        (
            "insert into audit_log select tenant_id, 6, at, kind, actor, subject, details, hash,"
            f" hash from audit_log where {MINE} and seq = 5",
            "entry 6 was changed",
        ),
        (
            "insert into audit_log select tenant_id, 6, at, kind, actor, subject, details, hash,"
            " sha256(hash || convert_to(audit_entry(tenant_id, 6, at, kind, actor, subject,"
            f" details), 'UTF8')) from audit_log where {MINE} and seq = 5",
            "the log ends at entry 6, not at 5",
        ),
        (f"delete from audit_log where {MINE} and seq > 3", "the log ends at entry 3, not at 5"),
        (f"delete from audit_log where {MINE}", "the log ends at entry 0, not at 5"),
        (f"delete from audit_heads where {MINE}", "nothing says any more where the log ends"),
    ],
)
async def test_what_gets_around_the_triggers_is_found(
    database: Database, admin_url: str, tenant: str, anchor: Anchor, statement: str, fault: str
) -> None:
    """The first fault is named; the logs of others still hold."""
    await tamper(admin_url, statement)
    found = await verify(database, tenant)
    assert fault in found.fault
    assert (await verify(database, "other")).fault == ""


@pytest.mark.parametrize("keep", [0, 3])
async def test_an_anchor_shows_a_cut_end(
    database: Database, admin_url: str, tenant: str, anchor: Anchor, keep: int
) -> None:
    """Whoever cuts the log and mends its head is found out by an anchor, and by nothing else."""
    await tamper(admin_url, f"delete from audit_log where {MINE} and seq > {keep}")
    if keep:
        head = f"(select hash from audit_log where {MINE} and seq = {keep})"
        await tamper(admin_url, f"update audit_heads set seq = {keep}, hash = {head} where {MINE}")
    else:
        await tamper(admin_url, f"delete from audit_heads where {MINE}")
    assert (await verify(database, tenant)).fault == ""
    found = await verify(database, tenant, anchor)
    assert found.fault == f"the log ends before entry {ENTRIES}, which was anchored"


async def test_an_anchor_shows_a_log_written_anew(
    database: Database, admin_url: str, tenant: str, anchor: Anchor
) -> None:
    """A chain that holds but is another one is not taken for the one that was anchored."""
    await tamper(admin_url, f"delete from audit_log where {MINE}")
    await tamper(admin_url, f"delete from audit_heads where {MINE}")
    await write(database, tenant, ENTRIES)
    assert (await verify(database, tenant)).fault == ""
    assert "not the one that was anchored" in (await verify(database, tenant, anchor)).fault


async def test_a_busy_log_is_not_taken_for_a_damaged_one(database: Database, tenant: str) -> None:
    """What is appended while it is checked is not looked at."""
    await write(database, tenant, 3)
    async with audit.snapshot(database.url, tenant) as conn:
        assert len(await audit.entries(conn)) == 3
        await write(database, tenant, 3)
        assert (await audit.verify(conn)).entries == 3
        assert (await audit.verify(conn)).fault == ""


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "x:00", f"0:{'00' * 32}", "1:00", f"1:{'0g' * 32}"]
)
def test_an_anchor_is_read_strictly(text: str) -> None:
    """What is none is a ValueError; what was written can be read."""
    with pytest.raises(ValueError):
        Anchor.parse(text)
    anchor = Anchor(7, bytes(range(32)))
    assert Anchor.parse(str(anchor)) == anchor


def command(
    admin_url: str, database_url: str, *arguments: str, owner: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `python -m db audit` on a database."""
    given: dict[str, Any] = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DATABASE_ADMIN_URL": admin_url if owner else "",
    }
    return subprocess.run(
        [sys.executable, "-m", "db", "audit", *arguments],
        cwd=ROOT,
        env=given,
        check=False,
        capture_output=True,
        text=True,
    )


async def test_the_command_checks_every_log(
    admin_url: str, database_url: str, anchor: Anchor
) -> None:
    """Each tenant's, with an anchor to note; status 1 with the fault of those that do not hold."""
    whole = await asyncio.to_thread(command, admin_url, database_url, "verify")
    assert whole.returncode == 0, whole.stderr
    assert f"default: 5 entries, the chain holds, anchor {anchor}\n" in whole.stdout
    assert "other: 2 entries, the chain holds" in whole.stdout
    noted = ["verify", "--tenant", "default", "--anchor", str(anchor)]
    assert (await asyncio.to_thread(command, admin_url, database_url, *noted)).returncode == 0
    await tamper(admin_url, f"update audit_log set actor = 'eve' where {MINE} and seq = 2")
    damaged = await asyncio.to_thread(command, admin_url, database_url, "verify")
    assert damaged.returncode == 1
    assert "default: 1 entries, entry 2 was changed\n" in damaged.stdout
    assert "other: 2 entries, the chain holds" in damaged.stdout


async def test_the_command_needs_to_know_whose_log(
    admin_url: str, database_url: str, anchor: Anchor
) -> None:
    """Without the owner's address a tenant is named; an anchor belongs to one log."""
    alone = await asyncio.to_thread(command, admin_url, database_url, "verify", owner=False)
    assert (alone.returncode, "--tenant" in alone.stderr) == (1, True)
    named = ["verify", "--tenant", "other"]
    found = await asyncio.to_thread(command, admin_url, database_url, *named, owner=False)
    assert found.stdout.startswith("other: 2 entries, the chain holds")
    loose = await asyncio.to_thread(
        command, admin_url, database_url, "verify", "--anchor", str(anchor)
    )
    assert (loose.returncode, "--tenant" in loose.stderr) == (1, True)
    wrong = ["verify", "--tenant", "other", "--anchor", "5:xyz"]
    refused = await asyncio.to_thread(command, admin_url, database_url, *wrong)
    assert (refused.returncode, "SEQ:HASH" in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr + loose.stderr + alone.stderr


async def test_the_command_shows_entries(admin_url: str, database_url: str, anchor: Anchor) -> None:
    """For people a line each, for programs an object a line."""
    shown = await asyncio.to_thread(command, admin_url, database_url, "show", "--after", "4")
    [line] = shown.stdout.splitlines()
    assert line.startswith("default 5 ")
    assert "action.done ann call" in line
    printed = await asyncio.to_thread(
        command, admin_url, database_url, "show", "--tenant", "other", "--json"
    )
    entries = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [entry["seq"] for entry in entries] == [1, 2]
    assert entries[0]["details"]["text"] == "ä€\U0001f600"


def test_nothing_is_appended_without_a_tenant(database_url: str) -> None:
    """A transaction that belongs to nobody cannot write into anybody's log."""
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error):
        conn.execute("select parley.audit('k', 'a', 's', '{}')")
