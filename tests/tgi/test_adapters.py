"""LoRA adapters on each kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import AdapterMissing, ModelUnavailable
from tests.tgi.scripted import serving
from tgi.adapters import Adapter, asking, check_adapter
from tgi.chat_model import TgiChatModel
from tgi.client import Client, Timeouts, pool
from tgi.profiles import LLAMACPP, OPENAI, PROFILES, TGI, VLLM

TIMEOUTS = Timeouts()
MODELS = {
    "object": "list",
    "data": [{"id": "base"}, {"id": "tuned", "parent": "base", "root": "/loras/tuned"}],
}
NUMBERED = [
    {"id": 0, "path": "/loras/first.gguf", "scale": 0.0},
    {"id": 1, "path": "/loras/tuned.gguf", "scale": 0.0},
]
Tokens = Callable[[str, str | None, int], list[tuple[int, float]]]


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[Client]:
    """Give a client of a server that runs `app`."""
    async with serving(app) as url, pool(url, TIMEOUTS) as http:
        yield Client(http, url, api_key=None, timeouts=TIMEOUTS)


def pages(content: dict[str, Any]) -> Starlette:
    """Return a server that has these pages."""

    def page(body: Any) -> Callable[[Request], Response]:
        return lambda _: JSONResponse(body)

    return Starlette(routes=[Route(path, page(body)) for path, body in content.items()])


def generating(tokens: Tokens) -> Starlette:
    """Return a server with TGI's /generate: `tokens` by prompt, adapter and number of the call."""
    calls = iter(range(1_000_000))

    async def generate(request: Request) -> Response:
        asked = await request.json()
        made = tokens(asked["inputs"], asked["parameters"].get("adapter_id"), next(calls))
        sent = [{"id": i, "text": "x", "logprob": p, "special": False} for i, p in made]
        details = {"finish_reason": "length", "generated_tokens": len(sent), "prefill": []}
        answer = {"generated_text": "x" * len(sent), "details": details | {"tokens": sent}}
        return JSONResponse(answer)

    return Starlette(routes=[Route("/generate", generate, methods=["POST"])])


def _base(prompt: str) -> list[tuple[int, float]]:
    return [(len(prompt), -0.5), (7, -1.25)]


@pytest.mark.parametrize(
    "tuned",
    [
        lambda prompt: [(len(prompt), -0.5), (8, -1.25)],
        lambda prompt: [(len(prompt), -0.5), (7, -1.0)],
        lambda prompt: [(len(prompt), -0.5)],
        lambda prompt: [(1, -0.5), (7, -1.25)] if prompt.startswith("def") else _base(prompt),
    ],
)
async def test_an_adapter_that_tgi_has(tuned: Callable[[str], list[tuple[int, float]]]) -> None:
    """Another token, another probability or another length on one prompt shows the adapter."""
    app = generating(lambda p, adapter, _: tuned(p) if adapter == "tuned" else _base(p))
    async with client(app) as server:
        await check_adapter(server, TGI, "tgi", Adapter("tuned"))
        with pytest.raises(AdapterMissing, match="as without it"):
            await check_adapter(server, TGI, "tgi", Adapter("tune"))


async def test_noise_is_no_adapter() -> None:
    """Differences that the base model has with itself show nothing, nor do tiny ones."""
    noisy = generating(lambda p, _, call: [(call, -0.5)])
    tiny = generating(lambda p, adapter, _: [(1, -0.5 if adapter else -0.501)])
    for app in (noisy, tiny):
        async with client(app) as server:
            with pytest.raises(AdapterMissing):
                await check_adapter(server, TGI, "tgi", Adapter("tuned"))


async def test_the_embedded_server_has_none(url: str) -> None:
    """The embedded server takes any name, like TGI, and is found out."""
    async with pool(url, TIMEOUTS) as http:
        server = Client(http, url, api_key=None, timeouts=TIMEOUTS)
        with pytest.raises(AdapterMissing):
            await check_adapter(server, TGI, "tgi", Adapter("tuned"))


@pytest.mark.parametrize("profile", [VLLM, OPENAI])
async def test_an_adapter_that_is_listed(profile: Any) -> None:
    """vLLM lists its adapters among its models; an error names those that there are."""
    async with client(pages({"/v1/models": MODELS})) as server:
        await check_adapter(server, profile, "base", Adapter("tuned"))
        with pytest.raises(AdapterMissing, match="it has: base, tuned"):
            await check_adapter(server, profile, "base", Adapter("tune"))
        assert await asking(server, profile, Adapter("tuned")) == {"model": "tuned"}


@pytest.mark.parametrize("name", ["1", "tuned", "tuned.gguf", "/loras/tuned.gguf"])
async def test_an_adapter_that_is_numbered(name: str) -> None:
    """llama.cpp's adapters are found by file or number, and asked for by number and scale."""
    async with client(pages({"/lora-adapters": NUMBERED})) as server:
        adapter = Adapter(name, scale=0.5)
        await check_adapter(server, LLAMACPP, "base", adapter)
        assert await asking(server, LLAMACPP, adapter) == {"lora": [{"id": 1, "scale": 0.5}]}
        with pytest.raises(AdapterMissing, match=r"it has: first\.gguf, tuned\.gguf"):
            await asking(server, LLAMACPP, Adapter("tune"))


@pytest.mark.parametrize("profile", [VLLM, LLAMACPP])
async def test_a_server_that_lists_nothing(profile: Any) -> None:
    """Without a list there is no adapter."""
    async with client(pages({})) as server:
        with pytest.raises(AdapterMissing, match="it has: none"):
            await check_adapter(server, profile, "base", Adapter("tuned"))


@pytest.mark.parametrize("profile", PROFILES.values())
async def test_the_base_model_is_no_adapter(profile: Any) -> None:
    """The base model's own name is refused on every kind of server."""
    async with client(pages({"/v1/models": MODELS, "/lora-adapters": NUMBERED})) as server:
        with pytest.raises(AdapterMissing, match="base model"):
            await check_adapter(server, profile, "tuned", Adapter("tuned"))


async def test_a_server_that_is_not_there() -> None:
    """A server that does not answer is no answer to the question."""
    async with pool("http://127.0.0.1:9", TIMEOUTS) as http:
        server = Client(http, "http://127.0.0.1:9", api_key=None, timeouts=TIMEOUTS)
        with pytest.raises(ModelUnavailable):
            await check_adapter(server, TGI, "tgi", Adapter("tuned"))


@pytest.mark.parametrize(
    ("profile", "sent"),
    [
        (TGI, {"model": "tuned"}),
        (VLLM, {"model": "tuned"}),
        (LLAMACPP, {"model": "base", "lora": [{"id": 1, "scale": 1.0}]}),
    ],
)
async def test_the_chat_model_asks_for_it(profile: Any, sent: dict[str, Any]) -> None:
    """Streamed or whole, a chat is answered with the adapter, which is looked up once."""
    asked: list[dict[str, Any]] = []
    looked_up = 0

    async def chat(request: Request) -> Response:
        asked.append(await request.json())
        return JSONResponse({"choices": [{"message": {"content": "yes"}}]})

    def listed(_: Request) -> Response:
        nonlocal looked_up
        looked_up += 1
        return JSONResponse(NUMBERED)

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/lora-adapters", listed),
    ]
    async with client(Starlette(routes=routes)) as server:
        model = TgiChatModel(
            client=server, dialect=profile, model_name="base", adapter=Adapter("tuned")
        )
        await model.ainvoke("?")
        with pytest.raises(ModelUnavailable, match="no stream"):
            await anext(model.astream("?"))
    for request in asked:
        assert {key: request[key] for key in ("model", "lora") if key in request} == sent
    assert looked_up == (profile is LLAMACPP)
