"""The knowledge base as a tool: what the caller may read, and where it came from."""

from __future__ import annotations

from pathlib import Path

from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.access import Access
from knowledge.ingest import ingest
from knowledge.search import Search
from tools import search_knowledge
from tools.registry import Registry
from tools.tool import Caller

ADA = Caller("default", "ada")
BOB = Caller("default", "bob")


async def test_a_search_sees_what_its_caller_may_read(
    database: Database, embedder: MiniLM, tmp_path: Path
) -> None:
    """Passages come with their sources, for their readers, and within their tenant alone."""
    open_to_all, private = tmp_path / "returns.md", tmp_path / "prices.md"
    open_to_all.write_text("# Returns\n\nGoods can be returned within thirty days.\n")
    private.write_text("# Prices\n\nThe purchase price of a returned lamp is 12 euros.\n")
    for path, access in ((open_to_all, Access()), (private, Access(owners=("ada",)))):
        await ingest(
            database,
            embedder,
            [path],
            tenant_id="default",
            settings=KnowledgeSettings(_env_file=None),
            access=access,
        )
    registry = Registry([search_knowledge.tool(database, Search(embedder))])

    async def find(caller: Caller) -> tuple[str, tuple[str, ...]]:
        outcome = await registry.call(
            "search_knowledge", {"query": "returned goods"}, caller, key="k"
        )
        assert outcome.status == "ok"
        return outcome.text, outcome.sources

    text, sources = await find(ADA)
    assert "within thirty days" in text
    assert set(sources) == {open_to_all.as_uri(), private.as_uri()}
    text, sources = await find(BOB)
    assert sources == (open_to_all.as_uri(),)
    assert text.startswith("[1] Returns")
    assert "12 euros" not in text
    assert await find(Caller("other", "ada")) == ("Nothing was found.", ())


def test_what_it_finds_taints(database: Database, embedder: MiniLM) -> None:
    """Documents are private, and text by strangers."""
    declaration = search_knowledge.tool(database, Search(embedder)).declaration
    assert declaration.reads_private
    assert declaration.reads_untrusted
