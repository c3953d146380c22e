"""What is sent to each kind of server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from core.errors import UnsupportedParameter
from core.settings import ModelSettings
from tests.tgi.bodies import SCHEMA, WEATHER
from tests.tgi.faulty import Exchange, faulty
from tgi.chat_model import connect

SETTINGS = ModelSettings(_env_file=None)
CALL = {"name": "weather", "args": {"city": "Warsaw"}, "id": "call_1"}


class City(BaseModel):
    """A city."""

    name: str


@tool
def forecast(city: City) -> str:
    """The weather there."""
    return city.name


async def _sent(
    messages: Sequence[BaseMessage], profile: str = "tgi", **wanted: Any
) -> dict[str, Any]:
    """Return the request that a server of this kind gets."""
    bodies: list[Any] = []

    async def behave(exchange: Exchange) -> None:
        bodies.append(exchange.body)
        await exchange.answer(200, b'{"choices":[{"message":{"content":"yes"}}]}')

    settings = ModelSettings(_env_file=None, profile=profile)
    async with faulty(behave) as url, connect(settings, url=url) as model:
        await model.ainvoke(list(messages), **wanted)
    body: dict[str, Any] = bodies[0]
    return body


async def test_what_tgi_is_sent() -> None:
    """TGI gets its names, and nothing that it refuses or misunderstands."""
    body = await _sent(
        [SystemMessage("Be kind."), HumanMessage("Hi")],
        temperature=0.0,
        top_p=1.0,
        seed=7,
        presence_penalty=0.5,
        frequency_penalty=0.1,
        max_completion_tokens=9,
        stop=["a", "b"],
    )
    assert body == {
        "model": "tgi",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
        ],
        "max_tokens": 9,
        "temperature": 0.0,
        "seed": 7,
        "frequency_penalty": 0.1,
        "stop": ["a", "b"],
    }


async def test_what_openai_is_sent() -> None:
    """OpenAI gets its own names, and every parameter."""
    body = await _sent(
        [HumanMessage("Hi")],
        "openai",
        top_p=1.0,
        presence_penalty=0.5,
        max_tokens=9,
        response_schema={"title": "place", **SCHEMA},
    )
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    assert (body["top_p"], body["presence_penalty"]) == (1.0, 0.5)
    assert body["response_format"]["json_schema"]["name"] == "place"


async def test_absent_parameters_are_left_out() -> None:
    """A parameter that is None is not sent: TGI refuses some nulls."""
    body = await _sent([HumanMessage("Hi")], temperature=None, seed=None, max_tokens=None)
    assert body.keys() == {"model", "messages", "max_tokens"}
    assert body["max_tokens"] == 512


async def test_a_message_with_calls() -> None:
    """Text beside calls is left out for TGI, which would drop the calls; others get both."""
    messages = [HumanMessage("?"), AIMessage("Let me see.", tool_calls=[CALL])]
    assert "content" not in (await _sent(messages))["messages"][1]
    assert (await _sent(messages, "vllm"))["messages"][1]["content"] == "Let me see."


async def test_no_tool_prompt_after_a_result() -> None:
    """After a tool's result TGI gets a neutral tool prompt: its own asks for calls endlessly."""
    called = [HumanMessage("?"), AIMessage("", tool_calls=[CALL])]
    result = ToolMessage("rain", tool_call_id="call_1")
    first = await _sent(called[:1], tools=[WEATHER])
    after = await _sent([*called, result], tools=[WEATHER])
    other = await _sent([*called, result], "vllm", tools=[WEATHER])
    assert "tool_prompt" not in first
    assert after["tool_prompt"] == " "
    assert "tool_prompt" not in other


async def test_references_are_resolved_for_tgi() -> None:
    """A tool whose schema has `$defs` is sent to TGI with the definitions in place."""

    async with connect(SETTINGS, url="http://127.0.0.1:9") as chat:
        bound: Any = chat.bind_tools([forecast], tool_choice="forecast")
    schema = bound.kwargs["tools"][0]["function"]["parameters"]
    assert "$defs" not in schema
    assert schema["properties"]["city"]["properties"]["name"]["type"] == "string"
    assert bound.kwargs["tool_choice"] == {"type": "function", "function": {"name": "forecast"}}


@pytest.mark.parametrize(
    "wanted",
    [{"logit_bias": {"1": 2}}, {"stop": list("abcde")}],
)
async def test_unsupported_parameters(wanted: dict[str, Any]) -> None:
    """A parameter that cannot be passed on is refused by name before anything is sent."""
    with pytest.raises(UnsupportedParameter):
        await _sent([HumanMessage("Hi")], **wanted)


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage([{"type": "image_url", "image_url": {"url": "x"}}]),
        ChatMessage(content="x", role="critic"),
    ],
)
async def test_only_text_is_sent(message: BaseMessage) -> None:
    """Images and unknown roles are refused; a list of texts is one text."""
    with pytest.raises(UnsupportedParameter):
        await _sent([message])
    texts = HumanMessage([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    assert (await _sent([texts]))["messages"][0]["content"] == "ab"


async def test_the_key_travels_as_a_bearer_token() -> None:
    """MODEL_API_KEY is sent as a bearer token; a trailing /v1 in MODEL_URL does no harm."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"choices": [{"message": {"content": "yes"}}]})

    settings = ModelSettings(_env_file=None, api_key=SecretStr("s3cret"))
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http,
        connect(settings, url="http://model/v1/", http=http) as chat,
    ):
        await chat.ainvoke("?")
        assert "s3cret" not in repr(chat)
    assert seen[0].url == "http://model/v1/chat/completions"
    assert seen[0].headers["authorization"] == "Bearer s3cret"
