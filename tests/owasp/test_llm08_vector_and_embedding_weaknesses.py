"""LLM08: what a search finds for whom."""

from __future__ import annotations

from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.filter import Filter, Reader
from knowledge.search import Search
from tests.knowledge.conftest import Put
from tests.knowledge.conftest import put as put

QUESTION = "What is the code of the vault?"
OWNED = "update documents set owners = '{ada}' where uri = 'secret'"


async def test_others_documents_never_reach_a_prompt(
    database: Database, embedder: MiniLM, put: Put, tenant: str
) -> None:
    """However near they are: the filter is part of the search, not of what comes after it."""
    await put("secret", "The code of the vault is 4711.")
    await put("public", "The vault is in the cellar.")
    async with database.transaction(tenant) as conn:
        await conn.execute(OWNED)
    search = Search(embedder)

    async def found(user: str, tenant_id: str) -> set[str]:
        passages = await search(
            database, QUESTION, tenant_id=tenant_id, limit=10, filter=Filter(Reader(user))
        )
        return {passage["uri"] for passage in passages}

    assert await found("ada", tenant) == {"secret", "public"}
    assert await found("bob", tenant) == {"public"}
    assert await found("ada", "another") == set()
