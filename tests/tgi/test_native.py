"""Small tasks on /generate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from core.errors import (
    AnswerMisfit,
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    StreamCut,
    UnsupportedParameter,
)
from embeddings.minilm import MiniLM
from tests.tgi.faulty import Behaviour, Exchange, faulty
from tests.tgi.scripted import ScriptedModel, serving
from tgi.client import Client, Timeouts, pool
from tgi.embedded.bounds import Limits
from tgi.embedded.extractive import ExtractiveModel
from tgi.embedded.model import Reply
from tgi.embedded.server import create_app
from tgi.native import Native, read
from tgi.profiles import PROFILES

TIMEOUTS = Timeouts()
ANSWER: dict[str, Any] = {
    "generated_text": "yes",
    "details": {
        "finish_reason": "eos_token",
        "generated_tokens": 2,
        "seed": None,
        "prefill": [],
        "tokens": [{"id": 1, "text": "yes", "logprob": -0.1, "special": False}],
    },
}


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


@asynccontextmanager
async def native(url: str, **more: Any) -> AsyncIterator[Native]:
    """Give a client of the server at `url`."""
    async with pool(url, TIMEOUTS) as http:
        yield Native(Client(http, url, api_key="key", timeouts=TIMEOUTS), **more)


@asynccontextmanager
async def saying(text: str, **more: Any) -> AsyncIterator[tuple[Native, ScriptedModel]]:
    """Give a client of a model that says this, whatever it is asked."""
    model = ScriptedModel(lambda **_: Reply(text=text))
    async with serving(create_app(model)) as url, native(url, **more) as client:
        yield client, model


async def test_yes_or_no() -> None:
    """The model can only say yes or no, and that is the answer."""
    for said, meant in (("yes", True), ("no", False)):
        async with saying(said) as (client, model):
            assert await client.yes("Is it so?") is meant
            assert model.asked[0]["grammar"] == {"type": "regex", "value": "yes|no"}


async def test_a_choice() -> None:
    """Choices are taken literally, whatever characters they have."""
    choices = ("C++ (any)", "c#", "żółw 5%")
    for said in choices:
        async with saying(f" {said} ") as (client, _):
            assert await client.choose("Which?", choices) == said
    async with saying("C") as (client, _):
        with pytest.raises(AnswerMisfit):
            await client.choose("Which?", choices)


@pytest.mark.parametrize("choices", [[], [""], ["a", ""]])
async def test_nothing_to_choose_from(url: str, choices: list[str]) -> None:
    """A choice without choices is refused before anything is sent."""
    async with native(url) as client:
        with pytest.raises(UnsupportedParameter):
            await client.choose("Which?", choices)


async def test_slots() -> None:
    """The server gets the schema; the values come back as the class that was given."""
    async with saying('{"city":"Warsaw","days":3}') as (client, model):
        assert await client.slots("Three days in Warsaw", Trip) == Trip(city="Warsaw", days=3)
        grammar = model.asked[0]["grammar"]
        assert (grammar["type"], set(grammar["value"]["properties"])) == ("json", {"city", "days"})
        with pytest.raises(AnswerMisfit, match="limit of tokens"):
            await client.slots("Three days in Warsaw", Trip, max_new_tokens=3)
    async with saying('{"city":"Warsaw"}') as (client, _):
        with pytest.raises(AnswerMisfit, match="days"):
            await client.slots("?", Trip)


async def test_a_title() -> None:
    """A title is one line without quotation marks; no line at all is AnswerMisfit."""
    async with saying('\n "A trip to Warsaw" \nand more') as (client, _):
        assert await client.title("Title:") == "A trip to Warsaw"
    async with saying(' \n "" ') as (client, _):
        with pytest.raises(AnswerMisfit):
            await client.title("Title:")


async def test_the_extractive_model(embedder: MiniLM) -> None:
    """The embedded server does every small task, out of the text that it is given."""
    async with serving(create_app(ExtractiveModel(embedder))) as url, native(url) as client:
        text = "I want to stay 3 days in Warsaw."
        assert await client.slots(text, Trip) == Trip(city="Warsaw", days=3)
        assert await client.choose("Which one, a hotel or a flat? She said: a flat.", ["flat"])
        assert await client.title(f"Write a title for this:\n{text}")


async def test_the_adapter_is_asked_for() -> None:
    """The name of an adapter travels with every request, and the key with it."""
    asked: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        asked.append(exchange.body)
        await exchange.answer(200, orjson.dumps(ANSWER))

    async with faulty(answer) as url, native(url, adapter_id="tuned") as client:
        assert await client.yes("?")
    assert asked[0]["parameters"]["adapter_id"] == "tuned"
    assert asked[0]["inputs"] == "?"


@pytest.mark.parametrize("profile", ["vllm", "llamacpp", "openai"])
def test_servers_without_the_route(profile: str) -> None:
    """Other kinds of servers are refused where the client is made."""
    with pytest.raises(UnsupportedParameter, match="/generate"):
        Native(None, PROFILES[profile])  # type: ignore[arg-type]  # it is not even looked at


async def test_what_the_client_does_not_take(url: str) -> None:
    """An empty prompt and a limit below one are refused with our own errors."""
    async with native(url) as client:
        with pytest.raises(UnsupportedParameter):
            await client.title("")
        with pytest.raises(ModelRejected, match="max_new_tokens"):
            await client.generate("?", max_new_tokens=0)


async def test_overload() -> None:
    """A server without a free slot is ModelOverloaded."""
    app = create_app(ScriptedModel(), limits=Limits(max_concurrent_requests=0))
    async with serving(app) as url, native(url) as client:
        with pytest.raises(ModelOverloaded):
            await client.yes("?")


async def test_a_deadline() -> None:
    """A server that is too slow is ModelTimeout, and its connection is closed."""
    closed = asyncio.Event()

    async def hang(exchange: Exchange) -> None:
        await exchange.gone()
        closed.set()

    async with faulty(hang) as url, native(url, seconds=0.05) as client:
        with pytest.raises(ModelTimeout):
            await client.yes("?")
        await closed.wait()


def _answer(status: int, body: bytes, kind: str = "application/json") -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.answer(status, body, kind)

    return behave


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (_answer(401, b""), ModelRejected),
        (_answer(502, b"<html>"), ModelUnavailable),
        (_answer(404, b""), ModelRejected),
        (_answer(424, b'{"error":"x","error_type":"generation"}'), ModelUnavailable),
        (_answer(500, b'{"error":"x","error_type":"incomplete_generation"}'), ModelUnavailable),
        (_answer(422, b'{"error":"x","error_type":"validation"}'), ModelRejected),
        (_answer(429, b'{"error":"x","error_type":"overloaded"}'), ModelOverloaded),
        (_answer(200, b'{"error":"x","error_type":"overloaded"}'), ModelOverloaded),
        (_answer(200, b"not json"), ModelUnavailable),
        (_answer(200, b'{"generated_text": 5}'), ModelUnavailable),
        (_answer(200, b"[]"), ModelUnavailable),
    ],
)
async def test_failures(behave: Behaviour, error: type[ModelError]) -> None:
    """Every failure is one of ours, none an empty answer."""
    async with faulty(behave) as url, native(url) as client:
        with pytest.raises(error):
            await client.yes("?")


async def test_an_answer_that_breaks_off() -> None:
    """A connection that closes inside the answer is StreamCut."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{")

    async with faulty(behave) as url, native(url) as client:
        with pytest.raises(StreamCut):
            await client.yes("?")


async def test_one_connection_for_many_tasks(url: str) -> None:
    """Connections are kept: the second task opens no other."""
    async with pool(url, TIMEOUTS) as http:
        opened: list[Any] = []

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event == "connection.connect_tcp.complete":
                opened.append(event)

        async def ask(request: Any) -> None:
            request.extensions["trace"] = trace

        http.event_hooks["request"].append(ask)
        client = Native(Client(http, url, api_key=None, timeouts=TIMEOUTS))
        for _ in range(3):
            await client.title("Well,")
    assert len(opened) == 1


def test_answers_in_a_list_and_without_details() -> None:
    """The compatible route puts an answer into a list; nobody has to give details."""
    assert read([ANSWER]).generated_text == read(ANSWER).generated_text == "yes"
    assert not read({"generated_text": "x\ud800"}).cut
