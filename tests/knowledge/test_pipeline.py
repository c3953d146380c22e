"""Only what changed is embedded, access goes with the documents, and nothing gets lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.base import Encoded
from embeddings.minilm import MiniLM
from knowledge.access import Access
from knowledge.files import find as scanned
from knowledge.ingest import forget, ingest_file, reader
from knowledge.store import known
from knowledge.summary import Summary
from tests.knowledge.ingesting import Counting, Ingest, counts, uris, write_lines


async def test_only_changed_chunks_are_embedded(
    run: Ingest, counting: Counting, tmp_path: Path
) -> None:
    """A paragraph that was added costs its own embedding; those that it moves cost nothing."""
    paragraphs = [f"Paragraph {n} tells of bell number {n}. " * 4 for n in range(20)]
    (tmp_path / "a.md").write_text("\n\n".join(paragraphs))
    first = await run(tmp_path, chunk_tokens=64, overlap_tokens=0)
    assert first.embedded == first.chunks == len(counting.embedded)
    counting.embedded.clear()
    (tmp_path / "a.md").write_text("\n\n".join(["A new beginning. " * 10, *paragraphs]))
    second = await run(tmp_path, chunk_tokens=64, overlap_tokens=0)
    assert counts(second) == (0, 1, 0, 0, 0)
    assert second.embedded == len(counting.embedded) == 1
    assert second.chunks == first.chunks + 1


async def test_a_file_that_moves_is_not_embedded_again(
    run: Ingest, counting: Counting, database: Database, tenant: str, tmp_path: Path
) -> None:
    """Its vectors are those of before, and it is known by its new place alone."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.md").write_text("# Bells\n\nThere are nine bells.")
    await run(tmp_path)
    counting.embedded.clear()
    (tmp_path / "old").rename(tmp_path / "new")
    summary = await run(tmp_path)
    assert counts(summary) == (1, 0, 0, 1, 0)
    assert counting.embedded == []
    assert (summary.embedded, summary.chunks) == (0, 1)
    assert await uris(database, tenant) == ["a.md"]


async def test_equal_texts_are_embedded_once(
    run: Ingest, counting: Counting, tmp_path: Path
) -> None:
    """Boilerplate of many documents costs one embedding, and is found in each of them."""
    path = tmp_path / "a.jsonl"
    write_lines(path, *({"id": n, "title": "T", "text": "same words"} for n in range(5)))
    summary = await run(path)
    assert (summary.chunks, summary.embedded) == (5, 1)
    assert counting.embedded == ["T\nsame words"]


async def access_of(database: Database, tenant: str) -> dict[str, Access]:
    """Return who may read what is stored, by the end of its uri."""
    async with database.transaction(tenant) as conn:
        stored = await known(conn, tenant_id=tenant)
    return {uri.rpartition("/")[2]: row.access for uri, row in stored.items()}


async def test_access_comes_from_the_row_or_from_the_whole_ingestion(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """A row that names its readers has its way; the others get what is given for all."""
    write_lines(
        tmp_path / "a.jsonl",
        {"id": 1, "text": "one", "owners": ["ada"], "labels": []},
        {"id": 2, "text": "two"},
        {"id": 3, "text": "three", "owners": "ada"},
    )
    summary = await run(tmp_path, access=Access(groups=("staff",), labels=("x",)))
    assert await access_of(database, tenant) == {
        "a.jsonl#1": Access(("ada",), ("staff",), ()),
        "a.jsonl#2": Access((), ("staff",), ("x",)),
    }
    assert [failure.code for failure in summary.failures] == ["document_unreadable"]


async def test_a_change_of_access_embeds_nothing(
    run: Ingest, counting: Counting, database: Database, tenant: str, tmp_path: Path
) -> None:
    """The document counts as changed, and keeps what it has when nothing is said."""
    (tmp_path / "a.md").write_text("one")
    await run(tmp_path, access=Access(owners=("ada",)))
    counting.embedded.clear()
    assert counts(await run(tmp_path, access=Access(owners=("bob",)))) == (0, 1, 0, 0, 0)
    assert counts(await run(tmp_path)) == (0, 0, 1, 0, 0)
    assert counting.embedded == []
    assert await access_of(database, tenant) == {"a.md": Access(("bob",), (), ())}


async def test_what_was_stored_is_counted(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """A whole ingestion is `ok`; a loss is found by the next one, although nothing changed."""
    (tmp_path / "a.md").write_text("one")
    summary = await run(tmp_path)
    assert (summary.checked, summary.differences) == ("ok", [])
    async with database.transaction(tenant) as conn:
        await conn.execute("delete from chunks")
    summary = await run(tmp_path)
    assert summary.checked == "differences"
    assert "a.md: 0 of 1 chunks" in summary.differences[0]
    assert not summary.succeeded


async def test_a_file_of_many_without_any_is_named(run: Ingest, tmp_path: Path) -> None:
    """No file vanishes without a word."""
    (tmp_path / "a.jsonl").write_text("\n\n")
    summary = await run(tmp_path)
    assert [failure.code for failure in summary.failures] == ["document_empty"]


async def test_one_file_at_a_time(
    database: Database, counting: Counting, tenant: str, tmp_path: Path
) -> None:
    """`ingest_file` does for a file what `ingest` does, and removes the lines that are gone."""
    path = tmp_path / "a.jsonl"
    write_lines(path, {"id": 1, "text": "one"}, {"id": 2, "text": "two"})
    write_lines(tmp_path / "a.jsonl.old", {"id": 1, "text": "one"})
    chosen = KnowledgeSettings()
    (file,) = scanned([path]).files

    async def once() -> Summary:
        async with reader(chosen) as reading:
            return await ingest_file(
                database, counting, reading, file, tenant_id=tenant, settings=chosen
            )

    assert counts(await once()) == (2, 0, 0, 0, 0)
    write_lines(path, {"id": 2, "text": "two"}, {"id": 3, "text": "three"})
    assert counts(await once()) == (1, 0, 1, 1, 0)
    assert await uris(database, tenant) == ["a.jsonl#2", "a.jsonl#3"]


async def test_forget(run: Ingest, database: Database, tenant: str, tmp_path: Path) -> None:
    """What a scan does not find any more is removed; what it finds is not read."""
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text(name)
    write_lines(tmp_path / "c.jsonl", {"id": 1, "text": "one"})
    await run(tmp_path)
    (tmp_path / "a.md").unlink()
    (tmp_path / "b.md").write_text("changed")
    (tmp_path / "c.jsonl").unlink()
    gone = await forget(database, scanned([tmp_path]), tenant_id=tenant)
    assert [uri.rpartition("/")[2] for uri in gone] == ["a.md", "c.jsonl#1"]
    assert await uris(database, tenant) == ["b.md"]


@pytest.mark.parametrize("chunking", ["sentence", "semantic"])
async def test_another_way_of_cutting_makes_everything_new(
    run: Ingest, tmp_path: Path, chunking: str
) -> None:
    """A strategy that is chosen takes effect, and stays in effect."""
    (tmp_path / "a.md").write_text("One sentence. Another sentence. " * 30)
    await run(tmp_path)
    assert counts(await run(tmp_path, chunking=chunking, chunk_tokens=64)) == (0, 1, 0, 0, 0)
    assert counts(await run(tmp_path, chunking=chunking, chunk_tokens=64)) == (0, 0, 1, 0, 0)


class Swallowing(Counting):
    """Loses the first cancellation, as `asyncio.wait_for` does when its result comes with it."""

    asked: asyncio.Event

    async def encoded(self, texts: Sequence[str]) -> list[Encoded]:
        """Ask the model once somebody has tried to cancel this."""
        if not self.asked.is_set():
            self.asked.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await super().encoded(texts)


async def test_a_lost_cancellation_ends_ingestion_all_the_same(
    embedder: MiniLM, run: Ingest, tmp_path: Path
) -> None:
    """No stage waits for ever for another one that was cancelled."""
    (tmp_path / "a.txt").write_text("\n\n".join(f"Boat {n} sails north." * 40 for n in range(200)))
    deaf = Swallowing(embedder)
    deaf.asked = asyncio.Event()
    task = asyncio.ensure_future(run(tmp_path, embedder=deaf))
    await deaf.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
