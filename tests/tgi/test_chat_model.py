"""The chat model on the embedded server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import (
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from pydantic import BaseModel

from core.errors import ModelRejected, StreamCut
from core.settings import ModelSettings
from tests.tgi.bodies import SCHEMA, WEATHER
from tests.tgi.scripted import ScriptedModel, serving
from tgi.chat_model import TgiChatModel, connect
from tgi.embedded.model import Reply, ToolCall
from tgi.embedded.server import create_app

SETTINGS = ModelSettings(_env_file=None)
SAID = "Warsaw became the capital\nin 1596 [1]. Żółw! "


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


async def test_structured_output_as_a_call() -> None:
    """LangChain's with_structured_output works through the tool calls too."""

    class Place(BaseModel):
        """A place."""

        city: str

    script = Reply(tool_calls=(ToolCall("Place", {"city": "Warsaw"}),))
    async with (
        serving(create_app(ScriptedModel(lambda **_: script))) as url,
        connect(SETTINGS, url=url) as chat,
    ):
        placed = chat.with_structured_output(Place, method="function_calling")
        assert await placed.ainvoke("?") == Place(city="Warsaw")


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
