"""The chat model beside the embedded server, and what it sends to each kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr

from core.errors import ModelRejected, ModelUnavailable, StreamCut, UnsupportedParameter
from core.settings import ModelSettings
from tests.tgi.bodies import SCHEMA, WEATHER
from tests.tgi.faulty import Exchange, faulty
from tests.tgi.scripted import ScriptedModel, serving
from tgi.chat_model import TgiChatModel, connect
from tgi.embedded.model import Reply, ToolCall
from tgi.embedded.server import create_app

SETTINGS = ModelSettings(_env_file=None)
SAID = "Warsaw became the capital\nin 1596 [1]. Żółw! "
CALL = {"name": "weather", "args": {"city": "Warsaw"}, "id": "call_1"}


class City(BaseModel):
    """A city."""

    name: str


@tool
def forecast(city: City) -> str:
    """The weather there."""
    return city.name


@pytest.fixture
async def chat(url: str) -> AsyncIterator[TgiChatModel]:
    """A chat model on the embedded server."""
    async with connect(SETTINGS, url=url) as model:
        yield model


async def _whole(chunks: AsyncIterator[BaseMessage]) -> AIMessageChunk:
    whole: AIMessageChunk | None = None
    async for chunk in chunks:
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole


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


async def test_a_stream_and_a_whole_answer_say_the_same(chat: TgiChatModel) -> None:
    """Text, usage, finish reason and model are equal, streamed or not."""
    whole = await chat.ainvoke("Since when?")
    streamed = await _whole(chat.astream("Since when?"))
    assert streamed.content == whole.content == SAID
    assert streamed.usage_metadata == whole.usage_metadata
    assert streamed.response_metadata == whole.response_metadata
    assert whole.response_metadata == {
        "finish_reason": "stop",
        "model_name": "parley-extractive",
        "system_fingerprint": "parley-extractive-1",
    }
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 13


async def test_the_last_chunk_has_the_end(chat: TgiChatModel) -> None:
    """Usage and finish reason come once, in a last chunk without text."""
    chunks = [chunk async for chunk in chat.astream("?", max_tokens=3)]
    last = chunks[-1]
    assert isinstance(last, AIMessageChunk)
    assert (last.content, last.response_metadata["finish_reason"]) == ("", "length")
    assert last.usage_metadata is not None
    assert all(not chunk.response_metadata for chunk in chunks[:-1])


async def test_calls_arrive_streamed_and_whole(chat: TgiChatModel) -> None:
    """A bound tool's call arrives with its arguments and an id of our own."""
    bound = chat.bind_tools([WEATHER], tool_choice="any")
    for answer in (await bound.ainvoke("?"), await _whole(bound.astream("?"))):
        (call,) = answer.tool_calls
        assert (call["name"], call["args"]) == ("weather", {"city": "Warsaw", "days": 3})
        assert str(call["id"]).startswith("call_")
        assert answer.response_metadata["finish_reason"] == "tool_calls"


async def test_a_call_without_arguments() -> None:
    """The lone brace that TGI streams for a call without arguments becomes a whole call."""
    model = ScriptedModel(lambda **_: Reply(tool_calls=(ToolCall("weather", {}),)))
    async with serving(create_app(model)) as url, connect(SETTINGS, url=url) as chat:
        bound = chat.bind_tools([WEATHER])
        for answer in (await _whole(bound.astream("?")), await bound.ainvoke("?")):
            (call,) = answer.tool_calls
            assert (call["name"], call["args"]) == ("weather", {})


async def test_a_call_that_is_cut_off(chat: TgiChatModel) -> None:
    """Half a call is never completed to a call that the model did not make."""
    bound = chat.bind_tools([WEATHER], tool_choice="any")
    with pytest.raises(StreamCut):
        await _whole(bound.astream("?", max_tokens=8))
    with pytest.raises(ModelRejected):
        await bound.ainvoke("?", max_tokens=8)


async def test_a_conversation_with_calls_goes_back(
    chat: TgiChatModel, model: ScriptedModel
) -> None:
    """A call and its result, sent back, reach the model as a call and a result."""
    question = HumanMessage("?")
    called = await chat.bind_tools([WEATHER], tool_choice="weather").ainvoke([question])
    result = ToolMessage("rain", tool_call_id=str(called.tool_calls[0]["id"]))
    await chat.ainvoke([question, called, result])
    _, assistant, answer = model.asked[-1]["messages"]
    assert orjson.loads(assistant["tool_calls"][0]["function"]["arguments"])["days"] == 3
    assert answer == {"role": "tool", "content": "rain"}


async def test_a_schema_shapes_the_answer(chat: TgiChatModel) -> None:
    """With response_schema the text is JSON that fits it."""
    answer = await chat.ainvoke("?", response_schema=SCHEMA)
    assert orjson.loads(str(answer.content)) == {"city": "Warsaw", "since": 1596}


async def test_structured_output() -> None:
    """LangChain's with_structured_output works through the tool calls."""

    class Place(BaseModel):
        """A place."""

        city: str

    script = Reply(tool_calls=(ToolCall("Place", {"city": "Warsaw"}),))
    async with (
        serving(create_app(ScriptedModel(lambda **_: script))) as url,
        connect(SETTINGS, url=url) as chat,
    ):
        assert await chat.with_structured_output(Place).ainvoke("?") == Place(city="Warsaw")


async def test_a_refusal_inside_a_stream(chat: TgiChatModel) -> None:
    """What the server refuses is ModelRejected with its words, streamed or not."""
    for question in (chat.ainvoke("?", top_p=-1.0), _whole(chat.astream("?", top_p=-1.0))):
        with pytest.raises(ModelRejected, match="`top_p` must be"):
            await question


async def test_info_is_what_the_server_says(chat: TgiChatModel) -> None:
    """The record of the model comes from /info."""
    assert await chat.info() == {
        "name": "parley-extractive",
        "version": "1",
        "server": "parley-extractive 1",
    }


async def test_a_shared_client_stays_open(url: str) -> None:
    """A client that was handed in is not closed with the model."""
    async with httpx.AsyncClient() as http:
        async with connect(SETTINGS, url=url, http=http) as chat:
            await chat.ainvoke("?")
        assert not http.is_closed
        assert (await http.get(f"{url}/health")).status_code == 200


async def test_traces_see_the_model(chat: TgiChatModel) -> None:
    """Callbacks get the name of the model that answered, its provider and the parameters."""
    seen: list[dict[str, Any]] = []

    class Handler(AsyncCallbackHandler):
        async def on_chat_model_start(self, *_: Any, **kwargs: Any) -> None:
            seen.append(kwargs["metadata"])

    await chat.ainvoke("?")
    await chat.ainvoke("?", {"callbacks": [Handler()]}, temperature=0.5, stop=["x"])
    assert seen[0]["ls_model_name"] == "parley-extractive"
    assert seen[0]["ls_provider"] == "text-generation-inference"
    assert seen[0]["ls_temperature"] == 0.5
    assert seen[0]["ls_stop"] == ["x"]


async def test_async_only(chat: TgiChatModel) -> None:
    """The sync interface says so instead of blocking the loop."""
    with pytest.raises(NotImplementedError, match="async"):
        chat.invoke("?")


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
