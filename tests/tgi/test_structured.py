"""Answers of a given shape."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from core.errors import AnswerMisfit, UnsupportedParameter
from core.settings import ModelSettings
from tests.tgi.bodies import WEATHER
from tests.tgi.faulty import Exchange, faulty
from tests.tgi.scripted import ScriptedModel, serving
from tgi.chat_model import TgiChatModel, connect
from tgi.embedded.model import Reply
from tgi.embedded.server import create_app
from tgi.profiles import PROFILES


class Place(BaseModel):
    """A place."""

    city: str
    since: int | None = Field(None, ge=1000)


class Tree(BaseModel):
    """A place with places in it."""

    place: Place
    inner: list[Tree] = []


class Plain(TypedDict):
    """A place."""

    city: str
    since: int


SCHEMA: dict[str, Any] = {
    "title": "place [1]",
    "type": "object",
    "properties": {"city": {"type": "string"}, "since": {"type": "integer"}},
    "required": ["city", "since"],
}
GIVEN = {"city": "Warsaw", "since": 1596}


@asynccontextmanager
async def _saying(text: str, **more: Any) -> AsyncIterator[TgiChatModel]:
    script = Reply(text=text)
    app = create_app(ScriptedModel(lambda **_: script))
    async with serving(app) as url, connect(ModelSettings(_env_file=None), url=url) as chat:
        yield chat.model_copy(update=more)


@pytest.mark.parametrize(
    ("shape", "expected"), [(Place, Place(**GIVEN)), (Plain, GIVEN), (SCHEMA, GIVEN)]
)
async def test_each_kind_of_shape(url: str, shape: Any, expected: Any) -> None:
    """A pydantic class gives its instance; a TypedDict and a JSON schema give a dict."""
    async with connect(ModelSettings(_env_file=None), url=url) as chat:
        assert await chat.with_structured_output(shape).ainvoke("?") == expected


@pytest.mark.parametrize("text", ["Warsaw", '{"city": 7, "since": 1596}', '{"city": "x"}', "[]"])
@pytest.mark.parametrize("shape", [Plain, SCHEMA])
async def test_an_answer_that_does_not_fit(text: str, shape: Any) -> None:
    """Another shape is AnswerMisfit, which does not repeat what the model wrote."""
    async with _saying(text) as chat:
        with pytest.raises(AnswerMisfit) as caught:
            await chat.with_structured_output(shape).ainvoke("?")
    assert "Warsaw" not in caught.value.message


async def test_a_bound_that_no_schema_of_the_server_holds() -> None:
    """What a pydantic class forbids is AnswerMisfit, and says where."""
    async with _saying('{"city": "Warsaw", "since": 5}') as chat:
        with pytest.raises(AnswerMisfit, match="since"):
            await chat.with_structured_output(Place).ainvoke("?")


async def test_an_answer_that_was_cut_off() -> None:
    """An answer that reached its limit of tokens is AnswerMisfit, whatever it looks like."""
    async with _saying('{"city": "Warsaw"}', max_tokens=5) as chat:
        with pytest.raises(AnswerMisfit, match="limit of tokens"):
            await chat.with_structured_output(Place).ainvoke("?")


async def test_the_raw_answer_beside_it() -> None:
    """With include_raw both come back, and what does not fit is told instead of raised."""
    async with _saying('{"city": "Warsaw"}') as chat:
        told: Any = await chat.with_structured_output(Place, include_raw=True).ainvoke("?")
        assert told["parsed"] == Place(city="Warsaw")
        assert told["raw"].content == '{"city": "Warsaw"}'
        assert told["parsing_error"] is None
        told = await chat.with_structured_output(Plain, include_raw=True).ainvoke("?")
        assert told["parsed"] is None
        assert isinstance(told["parsing_error"], AnswerMisfit)


@pytest.mark.parametrize("profile", PROFILES)
async def test_each_server_gets_its_own_shape(profile: str) -> None:
    """TGI gets the schema as `value` and without references, llama.cpp beside `json_object`."""
    asked: list[dict[str, Any]] = []

    async def answer(exchange: Exchange) -> None:
        asked.append(exchange.body)
        body = b'{"choices":[{"message":{"content":"{\\"place\\":{\\"city\\":\\"x\\"}}"}}]}'
        await exchange.answer(200, body)

    settings = ModelSettings(_env_file=None, profile=profile)
    async with faulty(answer) as url, connect(settings, url=url) as chat:
        read = await chat.with_structured_output(Tree).ainvoke("?")
    assert read == Tree(place=Place(city="x"))
    form = asked[0]["response_format"]
    if profile == "llamacpp":
        assert form["type"] == "json_object"
        sent = form
    else:
        assert form["type"] == "json_schema"
        sent = form["value" if profile == "tgi" else "json_schema"]
        assert sent["name"] == "Tree"
    assert ("$ref" in str(sent)) == (profile != "tgi")
    Draft202012Validator(sent["schema"]).validate({"place": {"city": "x"}})


async def test_a_name_that_openai_takes(url: str) -> None:
    """A title becomes a name of letters, digits, hyphens and underscores."""
    asked: list[dict[str, Any]] = []

    async def answer(exchange: Exchange) -> None:
        asked.append(exchange.body)
        await exchange.answer(429, b"")

    settings = ModelSettings(_env_file=None, profile="openai")
    async with faulty(answer) as there, connect(settings, url=there) as chat:
        told: Any = chat.with_structured_output(SCHEMA)
        with pytest.raises(Exception, match="overloaded"):
            await told.ainvoke("?")
    assert asked[0]["response_format"]["json_schema"]["name"] == "place__1_"


async def test_tools_and_a_schema_together(url: str) -> None:
    """TGI takes one or the other: both are refused before anything is sent."""
    async with connect(ModelSettings(_env_file=None), url=url) as chat:
        with pytest.raises(UnsupportedParameter, match="not both"):
            await chat.ainvoke("?", tools=[WEATHER], response_schema=SCHEMA)


@pytest.mark.parametrize("shape", [int, {"type": "array"}, {"properties": 5}, "x"])
async def test_what_is_no_shape(url: str, shape: Any) -> None:
    """Anything but an object with properties is UnsupportedParameter."""
    async with connect(ModelSettings(_env_file=None), url=url) as chat:
        with pytest.raises(UnsupportedParameter):
            chat.with_structured_output(shape)
        with pytest.raises(UnsupportedParameter):
            chat.with_structured_output(SCHEMA, strict=False)
