from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from core.errors import RerankerUnavailable
from core.settings import KnowledgeSettings
from core.turn import Passage
from knowledge.rerank import TextEmbeddingsInference, reordered
from tests.nodes.passages import passage

SETTINGS = KnowledgeSettings(rerank_url="http://127.0.0.1:1", rerank_api_key="k")

Handler = Callable[[httpx.Request], httpx.Response]


def found() -> list[Passage]:
    """Two passages, the first better by our own measure."""
    return [passage(1, "first"), passage(2, "second")]


def answers(*scores: tuple[int, float]) -> Handler:
    """TEI's answer: best first, by the place of the text."""
    rows = [{"index": index, "score": score} for index, score in scores]
    return lambda _: httpx.Response(200, json=rows)


async def test_asks_as_tei_expects() -> None:
    """The request has TEI's form and the key; scores come back in the order of the texts."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers((1, 0.9), (0, 0.2))(request)

    async with TextEmbeddingsInference.open(
        SETTINGS, transport=httpx.MockTransport(handle)
    ) as cross:
        assert cross is not None
        assert await cross.scores("q", ["a", "b"]) == [0.2, 0.9]
    assert seen[0].url.path == "/rerank"
    assert seen[0].headers["authorization"] == "Bearer k"
    assert json.loads(seen[0].content) == {
        "query": "q",
        "texts": ["a", "b"],
        "raw_scores": False,
        "truncate": True,
    }


async def test_its_order_wins() -> None:
    """The cross-encoder's order replaces ours, and its score is shown."""
    transport = httpx.MockTransport(answers((0, 0.1), (1, 0.9)))
    async with TextEmbeddingsInference.open(SETTINGS, transport=transport) as cross:
        assert cross is not None
        again = await reordered(cross, "q", found())
    assert [one["chunk_id"] for one in again] == [1002, 1001]
    assert again[0]["scores"]["cross"] == 0.9
    assert again[0]["score"] == pytest.approx(0.8 * 0.9 + 0.2 * 0.5)


@pytest.mark.parametrize(
    "handle",
    [
        lambda _: httpx.Response(503, json={"error": "overloaded"}),
        lambda _: httpx.Response(200, text="no JSON"),
        answers((0, 0.1)),
    ],
)
async def test_without_it(handle: Handler) -> None:
    """When the server fails or answers something else, passages keep their order."""
    transport = httpx.MockTransport(handle)
    async with TextEmbeddingsInference.open(SETTINGS, transport=transport) as cross:
        assert cross is not None
        with pytest.raises(RerankerUnavailable):
            await cross.scores("q", ["first", "second"])
        assert await reordered(cross, "q", found()) == found()


async def test_nobody_to_ask() -> None:
    """Without an address there is no reranker."""
    async with TextEmbeddingsInference.open(KnowledgeSettings(rerank_url=None)) as cross:
        assert cross is None
