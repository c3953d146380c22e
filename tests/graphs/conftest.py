"""What tests of whole turns share."""

from __future__ import annotations

import pytest

from db.pool import Database
from evals.bench import edges
from tests.db.waiting import settled
from tests.graphs.turns import TENANT


@pytest.fixture
async def knowing(database: Database) -> Database:
    """A database that holds the documents of the scripted search."""
    async with database.transaction(TENANT) as conn:
        for passage in edges.PASSAGES:
            await conn.execute(
                """insert into documents (tenant_id, document_id, uri, title, media_type,
                                          content_sha256, embedding_model, chunks, bytes)
                   values (%s, %s, %s, '', '', '', '', 1, 1)""",
                (TENANT, passage["document_id"], passage["uri"]),
            )
    await settled(database)
    return database
