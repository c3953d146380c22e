"""Search as the settings ask for it: with which index, with which reranker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.metrics import Metrics
from core.settings import KnowledgeSettings
from embeddings.base import Embedder
from knowledge.engines.choose import vector_index
from knowledge.late import Late
from knowledge.rerank import TextEmbeddingsInference
from knowledge.search import Search


@asynccontextmanager
async def searching(
    settings: KnowledgeSettings, embedder: Embedder, metrics: Metrics
) -> AsyncIterator[Search]:
    """Give the search; what it talks to closes with the block."""
    late = await asyncio.to_thread(Late.load)
    async with (
        vector_index(settings) as index,
        TextEmbeddingsInference.open(settings) as cross,
    ):
        yield Search(
            embedder,
            candidates=settings.candidates,
            index=index,
            late=late,
            cross=cross,
            metrics=metrics,
        )
