"""Ingestions in tests: a model that counts, and what became of the documents."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np

from core.errors import EmbeddingUnavailable
from db.pool import Database
from embeddings.base import Encoded, Vector, Vectors
from embeddings.minilm import MiniLM
from knowledge.catalog import entries
from knowledge.summary import Summary

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


async def uris(database: Database, tenant: str) -> list[str]:
    """Return what the knowledge base holds, without the folder of the test."""
    async with database.transaction(tenant) as conn:
        found = await entries(conn, tenant_id=tenant, limit=1000)
    return [entry.uri.rpartition("/")[2] for entry in found]


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
