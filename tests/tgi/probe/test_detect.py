"""Which server stands there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.errors import ModelRejected, ModelUnavailable
from tests.tgi.scripted import serving
from tgi.client import Client, Timeouts, pool
from tgi.probe.detect import Found, detect

TIMEOUTS = Timeouts()
MODELS = {"data": [{"id": "m", "owned_by": "somebody"}]}
PAGES: dict[str, dict[str, Any]] = {
    "tgi": {
        "/info": {"model_id": "meta/llama", "max_total_tokens": 4096, "max_concurrent_requests": 9},
        "/v1/models": {"data": [{"id": "meta/llama", "owned_by": "meta/llama"}]},
    },
    "vllm": {
        "/version": {"version": "0.11.0"},
        "/v1/models": {"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 4096}]},
    },
    "llamacpp": {
        "/props": {"default_generation_settings": {"n_ctx": 4096}, "build_info": "b1"},
        "/v1/models": {"data": [{"id": "m", "owned_by": "llamacpp"}]},
    },
    "llamacpp, in Python": {
        "/v1/models": MODELS,
        "/openapi.json": {"info": {"title": "llama.cpp Python API"}},
    },
    "openai": {"/v1/models": MODELS, "/version": {"version": "1"}, "/info": ["not", "ours"]},
}


async def _detect(pages: dict[str, Any], **more: Any) -> Found:
    def answer(request: httpx.Request) -> httpx.Response:
        page = pages.get(request.url.path, 404)
        return httpx.Response(page) if isinstance(page, int) else httpx.Response(200, json=page)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        client = Client(http, "http://model", api_key=None, timeouts=TIMEOUTS)
        return await detect(client, **more)


@pytest.mark.parametrize("kind", PAGES)
async def test_each_kind(kind: str) -> None:
    """Each kind of server is recognised, with the name and the context of its model."""
    found = await _detect(PAGES[kind])
    assert found.profile.name == kind.partition(",")[0]
    assert found.model_name == ("tgi" if kind == "tgi" else "m")
    assert found.context_tokens == (4096 if kind in {"tgi", "vllm", "llamacpp"} else None)
    assert found.slots == (9 if kind == "tgi" else None)


async def test_the_embedded_server(url: str) -> None:
    """The embedded server speaks TGI's dialect, and is recognised by it."""
    async with pool(url, TIMEOUTS) as http:
        found = await detect(Client(http, url, api_key=None, timeouts=TIMEOUTS))
    assert (found.profile.name, found.model_name, found.slots) == ("tgi", "tgi", 128)


async def test_what_the_operator_says_goes_first() -> None:
    """A profile and a model that are named are not looked for."""
    found = await _detect(PAGES["openai"], profile="vllm", model="other")
    assert (found.profile.name, found.model_name) == ("vllm", "other")


@pytest.mark.parametrize(
    "pages", [{}, {"/v1/models": {"data": []}}, {"/v1/models": []}, {"/v1/models": {"data": ["m"]}}]
)
async def test_something_else(pages: dict[str, Any]) -> None:
    """What is no model server is not taken for one."""
    with pytest.raises(ModelUnavailable, match="No model server"):
        await _detect(pages)


async def test_pages_that_fail() -> None:
    """A page that fails is not there; the list of models is needed, so its failure shows."""
    assert (await _detect({**PAGES["openai"], "/props": 500, "/info": 401})).profile.name
    with pytest.raises(ModelRejected, match="401"):
        await _detect({"/v1/models": 401})


async def test_nobody_there() -> None:
    """An address where nobody listens is ModelUnavailable."""
    async with serving(lambda *_: None) as url:
        pass
    async with pool(url, TIMEOUTS) as http:
        with pytest.raises(ModelUnavailable, match="does not answer"):
            await detect(Client(http, url, api_key=None, timeouts=TIMEOUTS))
