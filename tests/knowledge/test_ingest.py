"""The knowledge base follows the files: what is new comes in, what is gone goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from fpdf import FPDF

from core.errors import DatabaseUnavailable, EmbeddingUnavailable
from core.settings import KnowledgeSettings
from core.turn import Passage
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.catalog import size
from knowledge.ingest import ingest
from knowledge.search import Search
from tests.knowledge.ingesting import Counting, Ingest, counts, uris, write_lines


async def find(database: Database, embedder: MiniLM, tenant: str, query: str) -> list[Passage]:
    """Search."""
    await embedder.query(query)
    async with database.transaction(tenant) as conn:
        return await Search(embedder).within(conn, query, tenant_id=tenant, limit=3)


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
