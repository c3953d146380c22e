"""The models of a file, over real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import ModelOverloaded, ModelRejected, ModelUnavailable, SettingsInvalid
from core.metrics import Metrics
from core.settings import ModelSettings
from embeddings.minilm import MiniLM
from tests.tgi.faulty import Exchange, faulty
from tgi.models import LOCAL, Models, connect
from tgi.routing import Wish
from tgi.stream import stream

WISH = Wish("rewrite", tokens=100)
ASKED = [("user", "Since when?")]


@asynccontextmanager
async def opened(
    tmp_path: Path,
    embedder: MiniLM,
    models: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[Models]:
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": dict(models)}))
    settings = ModelSettings(_env_file=None, file=path, breaker_failures=1)
    async with connect(
        settings, url="", embedder=embedder, metrics=metrics, environment=environment or {}
    ) as made:
        yield made


async def overloaded(exchange: Exchange) -> None:
    """Refuse."""
    await exchange.answer(429, b"{}")


async def test_the_next_model_answers(tmp_path: Path, embedder: MiniLM, url: str) -> None:
    """What was tried before, what it took and what it cost is told."""
    metrics = Metrics()
    async with faulty(overloaded) as busy:
        said = {
            "cheap": {"endpoints": [busy]},
            "good": {"endpoints": [url], "price": {"input": 1.0, "output": 2.0}},
        }
        async with opened(tmp_path, embedder, said, metrics=metrics) as models:
            answer, call = await models.ask(WISH, ASKED)
    assert "Warsaw" in str(answer.content)
    assert (call["task"], call["model"], call["error"]) == ("rewrite", "good", "")
    assert call["tried"] == [{"model": "cheap", "error": "model_overloaded"}]
    usage = call["usage"]
    assert usage is not None
    expected = usage["prompt_tokens"] * 1.0 + usage["completion_tokens"] * 2.0
    assert call["cost_usd"] == pytest.approx(expected / 1e6)

    def counted(model: str, outcome: str) -> float | None:
        labels = {"model": model, "task": "rewrite", "outcome": outcome}
        return metrics.registry.get_sample_value("parley_model_calls_total", labels)

    assert counted("cheap", "model_overloaded") == 1
    assert counted("good", "answered") == 1


async def test_the_last_error_is_told(tmp_path: Path, embedder: MiniLM) -> None:
    """When nobody answers; and that nobody may be asked is an error too."""
    async with (
        faulty(overloaded) as busy,
        opened(tmp_path, embedder, {"only": {"endpoints": [busy]}}) as models,
    ):
        with pytest.raises(ModelOverloaded):
            await models.ask(WISH, ASKED)
        dear = {"endpoints": [busy], "price": {"input": 1.0}}
    async with opened(tmp_path, embedder, {"only": dear}) as models:
        with pytest.raises(ModelUnavailable, match="may be asked"):
            await models.ask(Wish("rewrite", tokens=9, left_usd=0.0), ASKED)


async def test_keys_come_from_the_environment(tmp_path: Path, embedder: MiniLM) -> None:
    """The file names the variable; without it nothing starts."""
    said = {"mine": {"endpoints": ["http://127.0.0.1:1"], "api_key_env": "MY_KEY"}}
    with pytest.raises(SettingsInvalid, match="MY_KEY is not set"):
        async with opened(tmp_path, embedder, said):
            pass
    seen: list[str] = []

    async def keyed(exchange: Exchange) -> None:
        seen.append(str(exchange.body["model"]))
        await exchange.answer(401, b"")

    async with faulty(keyed) as server:
        said = {
            "mine": {"endpoints": [server], "api_key_env": "MY_KEY", "name": "base"},
        }
        async with opened(tmp_path, embedder, said, {"MY_KEY": "s3cret"}) as models:
            with pytest.raises(ModelRejected) as caught:
                await models.ask(WISH, ASKED)
    assert seen == ["base"]
    assert "s3cret" not in caught.value.message


async def test_who_answers_is_told_even_when_nobody_does(tmp_path: Path, embedder: MiniLM) -> None:
    """`info` never fails; `check` does."""
    said = {"mine": {"endpoints": ["http://127.0.0.1:1"], "name": "base", "profile": "vllm"}}
    async with opened(tmp_path, embedder, said) as models:
        assert await models.info() == {"name": "base", "version": "", "server": "vllm"}
        with pytest.raises(ModelUnavailable):
            await models.check()


async def test_the_model_of_this_process_quotes(tmp_path: Path, embedder: MiniLM) -> None:
    """It answers from the sources of its prompt without any server."""
    said = {"mine": {"endpoints": ["http://127.0.0.1:1"]}}
    prompt = (
        '<source id="1" title="Warsaw">\nWarsaw became the capital of Poland in 1596.\n</source>\n'
        "<question>\nWhen did Warsaw become the capital?\n</question>"
    )
    async with opened(tmp_path, embedder, said) as models:
        chunks = [c async for c in stream(models.chat(LOCAL), [("user", prompt)], max_tokens=99)]
        record = await models.info(LOCAL)
    assert "1596 [1]" in "".join(str(chunk.content) for chunk in chunks)
    assert chunks[-1].response_metadata["finish_reason"] == "stop"
    assert (record["name"], record["server"]) == ("parley-extractive", "in process")


async def test_breakers_are_shown(tmp_path: Path, embedder: MiniLM) -> None:
    """By model and address, without anything secret."""
    said = {"mine": {"endpoints": ["http://127.0.0.1:1", "http://127.0.0.1:2/v1"]}}
    async with opened(tmp_path, embedder, said) as models:
        assert list(models.breakers()) == [
            ("mine", "127.0.0.1:1", False),
            ("mine", "127.0.0.1:2", False),
        ]
        with pytest.raises(ModelUnavailable):
            await models.ask(WISH, ASKED)
        assert {is_open for _, _, is_open in models.breakers()} == {True}
