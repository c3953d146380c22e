"""The knowledge base follows the files: what is new comes in, what is gone goes."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from fpdf import FPDF

from core.errors import DatabaseUnavailable, EmbeddingUnavailable
from core.settings import KnowledgeSettings
from core.turn import Passage
from db.pool import Database
from embeddings.base import Encoded, Vector, Vectors
from embeddings.minilm import MiniLM
from knowledge.access import UNCHANGED, Access
from knowledge.catalog import entries, size
from knowledge.files import find as scanned
from knowledge.ingest import Summary, forget, ingest, ingest_file, reader
from knowledge.search import Search
from knowledge.store import known

Ingest = Callable[..., Awaitable[Summary]]


class Counting:
    """The embedding model under another name, or one that fails; counts what it embeds."""

    dimensions = 384

    def __init__(self, model: MiniLM, *, name: str = "", fail_after: int | None = None) -> None:
        self.name = name or model.name
        self.embedded: list[str] = []
        self._model = model
        self._fail_after = fail_after

    async def query(self, text: str) -> Vector:
        """Ask the model."""
        return await self._model.query(text)

    async def encoded_query(self, text: str) -> Encoded:
        """Ask the model."""
        return await self._model.encoded_query(text)

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Ask the model, as long as it does not fail."""
        made = await self.encoded(texts)
        return np.stack([one.vector for one in made])

    async def encoded(self, texts: Sequence[str]) -> list[Encoded]:
        """Ask the model, as long as it does not fail."""
        if self._fail_after is not None and len(self.embedded) >= self._fail_after:
            raise EmbeddingUnavailable
        self.embedded.extend(texts)
        return await self._model.encoded(texts)

    def count_tokens(self, text: str) -> int:
        """Ask the model."""
        return self._model.count_tokens(text)

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Ask the model."""
        return self._model.offsets(text)


@pytest.fixture
def counting(embedder: MiniLM) -> Counting:
    """The model, counting."""
    return Counting(embedder)


@pytest.fixture
def run(database: Database, counting: Counting, tenant: str) -> Ingest:
    """Ingest paths: `await run(path, ...)`."""

    async def run(
        *paths: Path,
        embedder: Counting = counting,
        tenant_id: str = tenant,
        access: Access = UNCHANGED,
        **changes: object,
    ) -> Summary:
        settings = KnowledgeSettings().model_copy(update=changes)
        return await ingest(
            database, embedder, list(paths), tenant_id=tenant_id, settings=settings, access=access
        )

    return run


async def uris(database: Database, tenant: str) -> list[str]:
    """Return what the knowledge base holds, without the folder of the test."""
    async with database.transaction(tenant) as conn:
        found = await entries(conn, tenant_id=tenant, limit=1000)
    return [entry.uri.rpartition("/")[2] for entry in found]


async def find(database: Database, embedder: MiniLM, tenant: str, query: str) -> list[Passage]:
    """Search."""
    await embedder.query(query)
    async with database.transaction(tenant) as conn:
        return await Search(embedder)(conn, query, tenant_id=tenant, limit=3)


def counts(summary: Summary) -> tuple[int, int, int, int, int]:
    """Return added, changed, unchanged, removed, failed."""
    return (
        summary.added,
        summary.changed,
        summary.unchanged,
        summary.removed,
        summary.failed,
    )


def write_lines(path: Path, *records: dict[str, object]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


async def test_what_was_ingested_is_found_with_section_and_page(
    run: Ingest, database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """A passage of a PDF knows its page, one of Markdown its section."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for page in ("Nothing to see.", "The ferry to Texel leaves every half hour."):
        pdf.add_page()
        pdf.multi_cell(0, 8, page)
    pdf.output(str(tmp_path / "ferry.pdf"))
    (tmp_path / "cats.md").write_text("# Pets\n\n## Cats\n\nCats sleep most of the day.\n")
    summary = await run(tmp_path)
    assert counts(summary) == (2, 0, 0, 0, 0)
    assert (summary.chunks, summary.read) == (3, 2)
    ferry, *_ = await find(database, embedder, tenant, "When does the ferry leave?")
    assert (ferry["title"], ferry["page"]) == ("ferry", 2)
    cats, *_ = await find(database, embedder, tenant, "How long do cats sleep?")
    assert (cats["title"], cats["section"], cats["page"]) == ("Pets", "Cats", None)
    assert cats["uri"] == (tmp_path / "cats.md").as_uri()


async def test_title_and_section_are_embedded_with_the_text(
    run: Ingest, counting: Counting, tmp_path: Path
) -> None:
    """The model sees what a reader sees above a passage."""
    (tmp_path / "a.md").write_text("# Guide\n## Install\nRun it.")
    await run(tmp_path)
    assert counting.embedded == ["Guide\nInstall\nRun it."]


async def test_unchanged_documents_are_not_embedded_again(
    run: Ingest, counting: Counting, tmp_path: Path
) -> None:
    """The second time nothing is embedded, and a touched file counts as unchanged."""
    (tmp_path / "a.md").write_text("one")
    write_lines(tmp_path / "b.jsonl", {"id": "x", "text": "two"}, {"id": "y", "text": "three"})
    assert counts(await run(tmp_path)) == (3, 0, 0, 0, 0)
    embedded = len(counting.embedded)
    (tmp_path / "a.md").touch()
    assert counts(await run(tmp_path)) == (0, 0, 3, 0, 0)
    assert len(counting.embedded) == embedded


async def test_a_changed_document_replaces_its_old_version(
    run: Ingest, database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """Only what changed is embedded, and the old words are found no more."""
    (tmp_path / "a.md").write_text("The bridge opens at noon.")
    (tmp_path / "b.md").write_text("Another text.")
    await run(tmp_path)
    (tmp_path / "a.md").write_text("The bridge opens at midnight.")
    assert counts(await run(tmp_path)) == (0, 1, 1, 0, 0)
    passages = await find(database, embedder, tenant, "When does the bridge open?")
    assert [p["text"] for p in passages if "bridge" in p["text"]] == [
        "The bridge opens at midnight."
    ]


async def test_changed_metadata_counts_as_a_change(run: Ingest, tmp_path: Path) -> None:
    """A new title or field replaces the document although its text is the same."""
    path = tmp_path / "a.jsonl"
    write_lines(path, {"id": 1, "text": "same", "title": "old"}, {"id": 2, "text": "x", "a": 1})
    await run(path)
    write_lines(path, {"id": 1, "text": "same", "title": "new"}, {"id": 2, "text": "x", "a": 2})
    assert counts(await run(path)) == (0, 2, 0, 0, 0)


async def test_another_model_or_size_of_chunks_makes_everything_new(
    run: Ingest, embedder: MiniLM, tmp_path: Path
) -> None:
    """Vectors of two models cannot be compared, and a setting that is changed takes effect."""
    (tmp_path / "a.md").write_text("one")
    await run(tmp_path)
    other = Counting(embedder, name="another model")
    assert counts(await run(tmp_path, embedder=other)) == (0, 1, 0, 0, 0)
    assert counts(await run(tmp_path, embedder=other)) == (0, 0, 1, 0, 0)
    assert counts(await run(tmp_path, embedder=other, chunk_tokens=100)) == (0, 1, 0, 0, 0)


async def test_what_is_gone_from_a_folder_is_forgotten(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """Files, folders and lines that vanished are removed, their neighbours outside are not."""
    docs, beside = tmp_path / "docs", tmp_path / "docs-old"
    (docs / "deep").mkdir(parents=True)
    beside.mkdir()
    for path in (docs / "a.md", docs / "b.md", docs / "deep" / "c.md", beside / "d.md"):
        path.write_text(path.name)
    write_lines(docs / "e.jsonl", {"id": 1, "text": "one"}, {"id": 2, "text": "two"})
    await run(docs, beside)
    (docs / "b.md").unlink()
    (docs / "deep" / "c.md").unlink()
    write_lines(docs / "e.jsonl", {"id": 2, "text": "two"})
    assert counts(await run(docs)) == (0, 0, 2, 3, 0)
    assert await uris(database, tenant) == ["d.md", "a.md", "e.jsonl#2"]


async def test_a_single_file_forgets_only_its_own_lines(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """Ingesting one file leaves the rest of its folder alone, also names that begin alike."""
    write_lines(tmp_path / "a.jsonl", {"id": 1, "text": "one"}, {"id": 2, "text": "two"})
    write_lines(tmp_path / "a.jsonl.jsonl", {"id": 3, "text": "three"})
    await run(tmp_path)
    (tmp_path / "a.jsonl.jsonl").unlink()
    write_lines(tmp_path / "a.jsonl", {"id": 2, "text": "two"})
    assert counts(await run(tmp_path / "a.jsonl")) == (0, 0, 1, 1, 0)
    assert await uris(database, tenant) == ["a.jsonl#2", "a.jsonl.jsonl#3"]


async def test_a_damaged_file_keeps_its_last_readable_version(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """A file that cannot be read is not a file that is gone; its lines stay too."""
    (tmp_path / "a.md").write_text("one")
    write_lines(tmp_path / "b.jsonl", {"id": 1, "text": "two"})
    await run(tmp_path)
    noise = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
    (tmp_path / "a.md").write_bytes(noise)
    (tmp_path / "b.jsonl").write_bytes(noise)
    assert counts(await run(tmp_path)) == (0, 0, 0, 0, 2)
    assert await uris(database, tenant) == ["a.md", "b.jsonl#1"]


async def test_an_emptied_file_is_forgotten(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """A file without text is a failure, and its old text is not answered from."""
    (tmp_path / "a.md").write_text("one")
    await run(tmp_path)
    (tmp_path / "a.md").write_text("")
    assert counts(await run(tmp_path)) == (0, 0, 0, 1, 1)
    assert await uris(database, tenant) == []


async def test_bad_files_are_named_and_stop_nothing(run: Ingest, tmp_path: Path) -> None:
    """Each failure has its path, a code and a sentence; the rest is ingested."""
    (tmp_path / "a.pdf").write_bytes(b"\x89PNG")
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.docx").write_bytes(b"PK\x03\x04")
    (tmp_path / "d.pptx").write_bytes(b"PK\x03\x04")
    (tmp_path / "e.jsonl").write_text('{"text": "fine"}\nbroken\n')
    (tmp_path / "f.md").write_text("fine")
    summary = await run(tmp_path)
    assert counts(summary) == (2, 0, 0, 0, 5)
    failed = {Path(f.path).name: f.code for f in summary.failures}
    assert failed == {
        "a.pdf": "document_unreadable",
        "b.txt": "document_empty",
        "c.docx": "document_unreadable",
        "d.pptx": "document_unreadable",
        "e.jsonl:2": "document_unreadable",
    }
    assert summary.succeeded


async def test_a_missing_path_is_no_success(run: Ingest, tmp_path: Path) -> None:
    """What exists is read all the same."""
    (tmp_path / "a.md").write_text("one")
    summary = await run(tmp_path, tmp_path / "missing")
    assert (summary.added, summary.failures[0].code) == (1, "not_found")
    assert not summary.succeeded
    assert not (await run(tmp_path / "missing")).succeeded


async def test_a_crash_in_the_middle_leaves_whole_documents(
    run: Ingest, database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """What was stored before the crash stays, the next run does only the rest."""
    path = tmp_path / "a.jsonl"
    write_lines(path, *({"id": n, "text": f"Text number {n}."} for n in range(200)))
    with pytest.raises(EmbeddingUnavailable):
        await run(path, embedder=Counting(embedder, fail_after=100))
    async with database.transaction(tenant) as conn:
        documents, chunks = await size(conn, tenant_id=tenant)
    assert 0 < documents == chunks < 200
    assert counts(await run(path)) == (200 - documents, 0, documents, 0, 0)


async def test_a_lost_database_is_the_operators_error(
    database_url: str, counting: Counting, tenant: str, tmp_path: Path
) -> None:
    """It rises as itself, not wrapped in a group of exceptions."""
    (tmp_path / "a.md").write_text("one")
    async with Database.open(database_url) as database:
        pass
    with pytest.raises(DatabaseUnavailable):
        await ingest(database, counting, [tmp_path], tenant_id=tenant, settings=KnowledgeSettings())


async def test_tenants_keep_their_own(
    run: Ingest, database: Database, tenant: str, tmp_path: Path
) -> None:
    """The same file is a document of each tenant; removing it for one leaves the other's."""
    (tmp_path / "a.md").write_text("one")
    await run(tmp_path)
    assert counts(await run(tmp_path, tenant_id="other")) == (1, 0, 0, 0, 0)
    (tmp_path / "a.md").unlink()
    assert (await run(tmp_path, tenant_id="other")).removed == 1
    assert await uris(database, tenant) == ["a.md"]


async def test_a_large_document_is_embedded_in_slices(run: Ingest, tmp_path: Path) -> None:
    """A document of many chunks arrives whole."""
    (tmp_path / "a.txt").write_text("A sentence of nine tokens is here. " * 900)
    summary = await run(tmp_path, chunk_tokens=64, overlap_tokens=0)
    assert summary.chunks > 100
    assert summary.tokens == 900 * 9


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
