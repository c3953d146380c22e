"""Hosted providers' classes behind our interface: the same chunks, the same errors."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage

from core.errors import (
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    SettingsInvalid,
    StreamCut,
    UnsupportedParameter,
)
from tests.tgi.bodies import WEATHER
from tests.tgi.faulty import Exchange, faulty
from tgi.hosted import HostedModel, hosted
from tgi.messages import tool_to_wire
from tgi.profiles import OPENAI

pytest.importorskip("langchain_openai", reason="the extra openai is not installed")
pytest.importorskip("langchain_anthropic", reason="the extra anthropic is not installed")

SAID = "Warsaw became the capital\nin 1596 [1]. Żółw! "
ASKED = [HumanMessage("Since when?")]


def openai(url: str) -> HostedModel:
    return hosted(
        "openai",
        name="gpt",
        key="secret-key",
        max_tokens=100,
        seconds=5.0,
        options={"base_url": f"{url}/v1"},
    )


def anthropic(url: str) -> HostedModel:
    return hosted(
        "anthropic",
        name="claude",
        key="secret-key",
        max_tokens=100,
        seconds=5.0,
        options={"base_url": url},
    )


async def whole(chunks: AsyncIterator[BaseMessage]) -> AIMessageChunk:
    found = [chunk async for chunk in chunks]
    joined = found[0]
    for chunk in found[1:]:
        joined += chunk  # type: ignore[assignment]
    assert isinstance(joined, AIMessageChunk)
    return joined


async def test_openai_streams_text_and_usage(url: str) -> None:
    """Text, usage and the reason of the end, as from our own class."""
    model = openai(url)
    answer = await whole(model.astream(ASKED))
    assert answer.content == SAID
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 13
    assert answer.response_metadata["finish_reason"] == "stop"
    assert (await model.info())["name"] == "parley-extractive"
    assert (await model.ainvoke(ASKED)).content == SAID


async def test_openai_asks_for_tools() -> None:
    """Tools arrive in the shape that nodes offer them, and the call comes back."""
    offered: list[Any] = []

    async def gpt(exchange: Exchange) -> None:
        offered.extend(exchange.body["tools"])
        await exchange.begin()
        function = {"name": "weather", "arguments": '{"city": "Warsaw"}'}
        call = {"index": 0, "id": "c", "type": "function", "function": function}
        for delta, reason in (({"tool_calls": [call]}, None), ({}, "tool_calls")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            await exchange.event({"model": "gpt-9", "choices": [choice]})
        await exchange.data(b"data: [DONE]\n\n")
        await exchange.end()

    tools = [tool_to_wire(WEATHER, OPENAI)]
    async with faulty(gpt) as url:
        answer = await whole(openai(url).astream(ASKED, tools=tools, tool_choice="auto"))
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Warsaw"})
    assert answer.response_metadata["finish_reason"] == "tool_calls"
    assert offered == tools


def events(*sent: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"
        for event in sent
    )


BEGUN: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "claude-9",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 1},
    },
}
TEXT: list[dict[str, Any]] = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "In 1596 [1]."},
    },
    {"type": "content_block_stop", "index": 0},
]
ENDED: list[dict[str, Any]] = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "max_tokens", "stop_sequence": None},
        "usage": {"input_tokens": 7, "output_tokens": 5},
    },
    {"type": "message_stop"},
]


async def test_anthropic_streams_text_and_usage() -> None:
    """Its words for things become ours."""

    async def claude(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.data(events(BEGUN, *TEXT, *ENDED))
        await exchange.end()

    async with faulty(claude) as url:
        answer = await whole(anthropic(url).astream(ASKED))
    assert answer.content == "In 1596 [1]."
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 7


async def test_a_stream_without_its_end_is_cut() -> None:
    """Half an answer is not taken for a whole one, whoever sends it."""

    async def half_claude(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.data(events(BEGUN, *TEXT))
        await exchange.end()

    async def half_gpt(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("In 15")
        await exchange.end()

    async with faulty(half_claude) as url:
        with pytest.raises(StreamCut):
            await whole(anthropic(url).astream(ASKED))
    async with faulty(half_gpt) as url:
        with pytest.raises(StreamCut):
            await whole(openai(url).astream(ASKED))


@pytest.mark.parametrize("make", [openai, anthropic])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ModelRejected),
        (404, ModelRejected),
        (422, ModelRejected),
        (429, ModelOverloaded),
        (500, ModelUnavailable),
        (504, ModelTimeout),
        (529, ModelOverloaded),
    ],
)
async def test_statuses_are_our_errors(make: Any, status: int, error: type[ModelError]) -> None:
    """Asked once: whether to ask again is decided above. No key is told."""
    asked = 0

    async def refuse(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        await exchange.answer(status, b'{"error":{"message":"no"}}')

    async with faulty(refuse) as url:
        with pytest.raises(error) as caught:
            await whole(make(url).astream(ASKED))
    assert type(caught.value) is error
    assert asked == 1
    assert "secret-key" not in caught.value.message


@pytest.mark.parametrize("make", [openai, anthropic])
async def test_a_closed_port_is_unavailable(make: Any) -> None:
    """As with servers of one's own."""
    async with faulty(lambda exchange: exchange.end()) as url:
        pass
    with pytest.raises(ModelUnavailable):
        await whole(make(url).astream(ASKED))


async def test_what_a_provider_does_not_take_is_told(url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(UnsupportedParameter, match="seed"):
        await whole(anthropic(url).astream(ASKED, seed=1))


def test_without_its_extra_a_provider_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the error says what to install."""
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    with pytest.raises(SettingsInvalid, match="langchain_anthropic"):
        anthropic("http://127.0.0.1")
