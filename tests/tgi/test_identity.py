"""Which model really answers, asked of each kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from core.errors import ModelUnavailable
from core.settings import ModelSettings
from tests.tgi.scripted import ScriptedModel, serving
from tgi.chat_model import TgiChatModel, connect
from tgi.embedded.server import create_app

SETTINGS = ModelSettings(_env_file=None)


@asynccontextmanager
async def _identified(
    profile: str, pages: dict[str, Any]
) -> AsyncIterator[tuple[TgiChatModel, list[str]]]:
    """Give a model on a server with these pages, and the paths that were asked."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        page = pages.get(request.url.path)
        return httpx.Response(404) if page is None else httpx.Response(200, json=page)

    settings = ModelSettings(_env_file=None, profile=profile)
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http,
        connect(settings, url="http://model", http=http) as chat,
    ):
        yield chat, asked


ANSWER = {
    "model": "gpt-x",
    "system_fingerprint": "fp_1",
    "choices": [{"message": {"content": "yes"}}],
}


@pytest.mark.parametrize(
    ("profile", "pages", "record"),
    [
        (
            "tgi",
            {
                "/info": {
                    "model_id": "meta/llama",
                    "model_sha": "abc",
                    "version": "3.3.6",
                    "router": "text-generation-router",
                }
            },
            ("meta/llama", "abc", "text-generation-inference 3.3.6"),
        ),
        (
            "vllm",
            {
                "/version": {"version": "0.11"},
                "/v1/models": {"data": [{"id": "a", "root": "meta/llama"}]},
            },
            ("meta/llama", "0.11", "vllm 0.11"),
        ),
        (
            "llamacpp",
            {"/props": {"model_path": "/models/llama.gguf", "build_info": "b1-x"}},
            ("llama.gguf", "b1-x", "llama.cpp b1-x"),
        ),
    ],
)
async def test_identity(profile: str, pages: dict[str, Any], record: tuple[str, str, str]) -> None:
    """Each kind of server is asked where it says which model it serves, and only once."""
    async with _identified(profile, pages) as (chat, asked):
        first = await chat.info()
        count = len(asked)
        assert await chat.info() == first
        assert len(asked) == count
        await chat.info(refresh=True)
        assert len(asked) > count
    assert (first["name"], first["version"], first["server"]) == record


async def test_identity_from_an_answer() -> None:
    """OpenAI says which model it is in its answers."""
    async with _identified("openai", {"/v1/chat/completions": ANSWER}) as (chat, _):
        assert (await chat.info())["version"] == ""
        await chat.ainvoke("?")
        assert await chat.info() == {"name": "gpt-x", "version": "fp_1", "server": "openai"}


async def test_another_fingerprint_asks_again() -> None:
    """An answer with another fingerprint ends the cache: the server was replaced."""
    pages: dict[str, Any] = {
        "/info": {"model_id": "a", "version": "1"},
        "/v1/chat/completions": ANSWER,
    }
    async with _identified("tgi", pages) as (chat, _):
        await chat.ainvoke("?")
        assert (await chat.info())["name"] == "a"
        pages["/info"] = {"model_id": "b", "version": "1"}
        await chat.ainvoke("?")
        assert (await chat.info())["name"] == "a"
        pages["/v1/chat/completions"] = ANSWER | {"system_fingerprint": "fp_2"}
        await chat.ainvoke("?")
        assert (await chat.info())["name"] == "b"


async def test_identity_outlives_the_server() -> None:
    """When the server cannot be asked any more, what it said last stands."""
    async with AsyncExitStack() as stack:
        async with serving(create_app(ScriptedModel())) as url:
            asked = await stack.enter_async_context(connect(SETTINGS, url=url))
            answered = await stack.enter_async_context(connect(SETTINGS, url=url))
            silent = await stack.enter_async_context(connect(SETTINGS, url=url))
            record = await asked.info()
            await answered.ainvoke("?")
        assert await asked.info(refresh=True) == record
        assert (await answered.info())["version"] == "parley-extractive-1"
        with pytest.raises(ModelUnavailable):
            await silent.info()
