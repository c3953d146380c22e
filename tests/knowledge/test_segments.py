from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.pool import Database
from knowledge.segments import FANOUT, FULL, NOTHING, choose, merge
from tests.db.waiting import eventually
from tests.knowledge.words import WORDS, answers, answers_and_texts, put, remove, rounded, textbook

ROOT = Path(__file__).parents[2]
TEXT = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
URI = st.sampled_from("abcde")
CHANGE = st.one_of(
    st.tuples(st.just("put"), URI, st.lists(TEXT, max_size=4)),
    st.tuples(st.just("put"), URI, st.lists(TEXT, max_size=4)),
    st.tuples(st.just("remove"), URI, st.none()),
    st.tuples(st.just("merge"), st.sampled_from([1, 1, 6]), st.none()),
)
_tenants = (f"tenant {n}" for n in itertools.count())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(CHANGE, min_size=1, max_size=14))
async def test_like_a_fresh_build(database: Database, changes: list[tuple[str, ...]]) -> None:
    """After any adds, changes, deletes and merges: the textbook, and bit by bit a fresh index."""
    tenant, other = next(_tenants), next(_tenants)
    documents: dict[str, list[str]] = {}
    for change, what, texts in changes:
        if change == "put":
            documents[what] = list(texts)
            await put(database, tenant, what, texts)
        elif change == "remove":
            documents.pop(what, None)
            await remove(database, tenant, what)
        else:
            await merge(database, tenant_id=tenant, least=int(what))
    found = await answers(database, tenant)
    assert rounded(found) == rounded(textbook(documents))
    for uri, own in documents.items():
        await put(database, other, uri, own)
    assert await answers(database, other) == found
    await merge(database, tenant_id=other, least=1)
    assert await answers(database, other) == found


async def test_writers_and_mergers_at_once(
    database: Database, database_url: str, tenant: str
) -> None:
    """While several write and two merge, a search finds at any moment what the textbook says."""
    documents: dict[str, list[str]] = {}
    written = asyncio.Event()

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        for _ in range(25):
            uri = f"{writer} {chance.randrange(4)}"
            if chance.random() < 0.25:
                documents.pop(uri, None)
                await remove(database, tenant, uri)
            else:
                texts = [" ".join(chance.choices(WORDS, k=5)) for _ in range(3)]
                documents[uri] = texts
                await put(database, tenant, uri, texts)

    async def keep_merging() -> int:
        merged = 0
        while not written.is_set():
            merged += (await merge(database, tenant_id=tenant, least=1)).chunks
        return merged

    async def keep_asking() -> int:
        asked = 0
        async with await psycopg.AsyncConnection.connect(database_url) as conn:
            await conn.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await conn.execute("set search_path = parley, public")
            await conn.execute("select set_config('parley.tenant', %s, false)", [tenant])
            await conn.commit()
            while not written.is_set():
                found, texts = await answers_and_texts(conn, tenant)
                assert rounded(found) == rounded(textbook({"all": texts}))
                await conn.commit()
                asked += 1
        return asked

    async with asyncio.TaskGroup() as group:
        merging = [group.create_task(keep_merging()) for _ in range(2)]
        asking = group.create_task(keep_asking())
        await asyncio.gather(*(write(writer) for writer in range(4)))
        written.set()
    assert sum(task.result() for task in merging) > 0
    assert asking.result() > 0
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))
    await merge(database, tenant_id=tenant, least=1)
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))


async def test_a_merge_that_hangs_blocks_nobody(
    database: Database, admin_url: str, tenant: str
) -> None:
    """While a merge is stopped in its middle, others write and search; it packs what is left."""
    documents = {uri: [f"{WORDS[n]} apple", "fig"] for n, uri in enumerate("abc")}
    for uri, texts in documents.items():
        await put(database, tenant, uri, texts)
    async with stopped(admin_url) as is_stopped:
        merging = asyncio.create_task(merge(database, tenant_id=tenant, least=1))
        await eventually(is_stopped)
        assert await merge(database, tenant_id=tenant, least=1) == NOTHING  # one is enough
        documents["b"] = ["pear quince", "fig"]
        documents["d"] = ["plum"]
        await put(database, tenant, "b", documents["b"])
        await put(database, tenant, "d", documents["d"])
        await remove(database, tenant, "c")
        del documents["c"]
        assert rounded(await answers(database, tenant)) == rounded(textbook(documents))
    assert (await merging).chunks == 3  # of six that it read; a third document came later
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))


@pytest.mark.parametrize("commits", [True, False])
async def test_a_merge_waits_for_nobody(database: Database, tenant: str, commits: bool) -> None:
    """What somebody is deleting while a merge ends is gone if he goes through with it, else not."""
    documents = {"a": ["apple fig"], "b": ["apple plum", "pear"]}
    for uri, texts in documents.items():
        await put(database, tenant, uri, texts)
    with pytest.raises(ZeroDivisionError) if not commits else nullcontext():
        async with database.transaction(tenant) as conn:
            await conn.execute("delete from documents where uri = 'b'")
            assert (await merge(database, tenant_id=tenant, least=1)).chunks == 1
            assert rounded(await answers(database, tenant)) == rounded(textbook(documents))
            if not commits:
                raise ZeroDivisionError
    if commits:
        del documents["b"]
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))
    await merge(database, tenant_id=tenant, least=1)
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))


async def test_killed_in_the_middle(
    database: Database, database_url: str, admin_url: str, tenant: str
) -> None:
    """A process that is killed while it merges leaves nothing behind; the next merge works."""
    documents = {uri: [f"{word} apple", "fig"] for uri, word in zip("abcdef", WORDS, strict=True)}
    for uri, texts in documents.items():
        await put(database, tenant, uri, texts)
    await merge(database, tenant_id=tenant, least=1)
    documents |= {"a": ["quince"], "g": ["medlar medlar"]}
    for uri in "ag":
        await put(database, tenant, uri, documents[uri])
    program = (
        "import asyncio, sys\n"
        "from db.pool import Database\n"
        "from knowledge.segments import merge\n"
        "async def main():\n"
        "    async with Database.open(sys.argv[1]) as database:\n"
        "        await merge(database, tenant_id=sys.argv[2], least=1)\n"
        "asyncio.run(main())\n"
    )
    async with stopped(admin_url) as is_stopped:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, database_url, tenant), cwd=ROOT
        )
        await eventually(is_stopped)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))

    def is_gone() -> bool:  # the server notices when it next writes to the process
        with psycopg.connect(admin_url) as conn:
            rows = conn.execute("select from pg_locks where locktype = 'advisory'").fetchall()
        return not rows

    await eventually(is_gone)
    async with database.transaction(tenant) as conn:
        cursor = await conn.execute(
            "select from keyword_postings where segment_id not in"
            " (select segment_id from keyword_segments)"
        )
        assert not await cursor.fetchall()
    assert (await merge(database, tenant_id=tenant, least=1)).chunks == 2
    assert rounded(await answers(database, tenant)) == rounded(textbook(documents))


async def test_little_waits(database: Database, tenant: str) -> None:
    """Less than a segment is worth stays fresh, and nothing is written."""
    await put(database, tenant, "a", ["apple", "fig"])
    assert await merge(database, tenant_id=tenant) == NOTHING


async def test_tenants_apart(database: Database) -> None:
    """Each tenant has segments of its own, and its merges wait for no other tenant's."""
    for tenant in ("one", "two"):
        await put(database, tenant, "a", [f"apple {tenant}", "plum"])
        assert (await merge(database, tenant_id=tenant, least=1)).chunks == 2
    await remove(database, "one", "a")
    assert (await merge(database, tenant_id="one", least=1)).buried == 2
    assert (await answers(database, "one"))["apple"] == []
    assert len((await answers(database, "two"))["apple"]) == 1
    async with database.transaction("one") as conn:
        cursor = await conn.execute("select from keyword_segments")
        assert not await cursor.fetchall()  # what is dead altogether is thrown away


@given(st.lists(st.integers(1, 3000), max_size=120))
def test_segments_stay_few(written: list[int]) -> None:
    """However much is written at a time, few segments are not full, and chunks seldom move."""
    sizes: list[int] = []
    moved = 0
    for fresh in written:
        chosen = choose(fresh, sizes, sizes)
        total = fresh + sum(sizes[i] for i in chosen)
        moved += total
        sizes = [size for i, size in enumerate(sizes) if i not in chosen] + [total]
    assert len([size for size in sizes if size < FULL]) <= 8 * FANOUT
    assert moved <= 12 * sum(written)


def test_the_dead_are_purged() -> None:
    """A segment with many dead is rewritten, whatever its size."""
    assert choose(0, [FULL * 2, FULL], [FULL * 2, FULL * 2]) == [1]
    assert choose(0, [FULL * 2], [FULL * 2]) == []


@asynccontextmanager
async def stopped(admin_url: str) -> AsyncIterator[Callable[[], bool]]:
    """Stop merges where they have written nearly everything; yields a test for "one has come"."""
    async with await psycopg.AsyncConnection.connect(admin_url) as conn:
        await conn.execute("lock table parley.keyword_segments in share mode")

        def is_stopped() -> bool:
            with psycopg.connect(admin_url) as other:
                row = other.execute(
                    "select count(*) from pg_locks where not granted"
                    " and relation = 'parley.keyword_segments'::regclass"
                ).fetchone()
            return row is not None and row[0] > 0

        yield is_stopped
