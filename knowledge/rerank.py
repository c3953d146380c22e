"""A cross-encoder on a server looks at the best passages once more: TEI's `/rerank`.

Text Embeddings Inference serves such models on a GPU; without its address nothing is asked.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.errors import RerankerUnavailable
from core.settings import KnowledgeSettings
from core.turn import Passage

CROSS_WEIGHT = 0.8  # of the final score: the model read both texts, but it may be a small one

_log = logging.getLogger(__name__)


class CrossEncoder(Protocol):
    """A model that reads question and passage together."""

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers, in [0, 1]; raises RerankerUnavailable."""


class _Rank(BaseModel):
    index: int
    score: float


_RANKS = TypeAdapter(list[_Rank])


class TextEmbeddingsInference:
    """The `CrossEncoder` behind TEI's `/rerank` (API of TEI 1.8)."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        """client: with the server's base URL, key and timeout."""
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: KnowledgeSettings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> AsyncIterator[TextEmbeddingsInference | None]:
        """Yield the reranker that the settings name; None when they name none."""
        if not settings.rerank_url:
            yield None
            return
        key = settings.rerank_api_key
        async with httpx.AsyncClient(
            base_url=settings.rerank_url,
            timeout=settings.rerank_timeout_seconds,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            transport=transport,
            trust_env=False,
        ) as client:
            yield cls(client)

    async def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers, in [0, 1]; raises RerankerUnavailable."""
        body = {"query": query, "texts": list(texts), "raw_scores": False, "truncate": True}
        try:
            response = await self._client.post("/rerank", json=body)
            response.raise_for_status()
            ranks = {rank.index: rank.score for rank in _RANKS.validate_json(response.content)}
            scores = [ranks[index] for index in range(len(texts))]
        except httpx.HTTPError as error:
            raise RerankerUnavailable(f"The reranker did not answer: {error!r}") from error
        except (ValidationError, KeyError) as error:
            raise RerankerUnavailable("The reranker's answer is not one of TEI's.") from error
        return [min(1.0, max(0.0, score)) for score in scores]


async def reordered(cross: CrossEncoder, query: str, passages: list[Passage]) -> list[Passage]:
    """Return passages in the order of the cross-encoder; as they are when it does not answer."""
    if not passages:
        return passages
    texts = [f"{passage['title']}\n{passage['text']}" for passage in passages]
    try:
        scores = await cross.scores(query, texts)
    except RerankerUnavailable as error:
        _log.warning("passages keep their order: %s", error)
        return passages
    again = [
        Passage(
            **{
                **passage,
                "score": CROSS_WEIGHT * score + (1 - CROSS_WEIGHT) * passage["score"],
                "scores": {**passage["scores"], "cross": score},
            }
        )
        for passage, score in zip(passages, scores, strict=True)
    ]
    return sorted(again, key=lambda one: (-one["score"], one["chunk_id"]))
