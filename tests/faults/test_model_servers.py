"""Rows 14 and 15: model servers that fail in every way they do, under whole turns over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from core.breaker import Breaker
from core.events import Event
from core.telemetry import NullTracer
from db import messages, turns
from db.pool import Database
from evals.asking import TaskIntents
from graphs.runner import Runner
from nodes.context import Limits
from tests.graphs.turns import QUICK, TENANT, begin, events, services
from tests.tgi.faulty import Behaviour, Exchange, faulty
from tgi.catalog import Catalog
from tgi.chat_model import TgiChatModel
from tgi.client import Client, Timeouts, pool
from tgi.endpoints import Endpoint, Endpoints
from tgi.models import Models, Served
from tools.tool import Arguments, Caller, Declaration, Output, Tool

HASTY = Timeouts(connect=1.0, first_token=0.1, idle=0.1, total=20.0)
SHOWN = "Water is wet [1]. "  # leaves at once
DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def asking(
    database: Database, behave: Behaviour, *, tools: tuple[Tool, ...] = ()
) -> AsyncIterator[Runner]:
    """Yield a runner whose only model is a server that behaves like that."""
    catalog = Catalog.model_validate({"models": {"only": {"endpoints": ["http://127.0.0.1:1"]}}})
    async with faulty(behave) as url, pool(url, HASTY) as http:
        client = Client(http, url, api_key=None, timeouts=HASTY)
        endpoints = Endpoints([Endpoint("only", client, Breaker())])
        served = Served(catalog.models["only"], TgiChatModel(client=endpoints), endpoints)
        own = services(database, None, tools, intents=TaskIntents() if tools else None)
        own = replace(own, models=Models(catalog, {"only": served}))
        async with Runner(own, Limits(), QUICK, NullTracer()) as runner:
            yield runner


class Server:
    """Counts what it is asked."""

    def __init__(self, way: Behaviour) -> None:
        self._way = way
        self.asked = 0

    async def __call__(self, exchange: Exchange) -> None:
        """Behave, but for what only asks who it is."""
        if exchange.body is None:
            await exchange.answer(404, b"")
            return
        self.asked += 1
        await self._way(exchange)


async def refused(exchange: Exchange) -> None:
    """Close the connection without a word."""


async def overloaded(exchange: Exchange) -> None:
    await exchange.answer(429, b'{"error":"Model is overloaded","error_type":"overloaded"}')


async def broken(exchange: Exchange) -> None:
    await exchange.answer(500, b"oops")


async def silent(exchange: Exchange) -> None:
    """Hang before the first token."""
    await exchange.begin()
    await exchange.gone()


async def garbled(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.data(b"data: {no json\n\n")
    await exchange.end()


async def stalled(exchange: Exchange) -> None:
    """Hang between two tokens."""
    await exchange.begin()
    await exchange.token(SHOWN)
    await exchange.token("And ")
    await exchange.gone()


async def cut(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.token(SHOWN)
    await exchange.token("And ")
    await exchange.end()


async def garbled_later(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.token(SHOWN)
    await exchange.token("And ")
    await exchange.data(b"data: {no json\n\n")
    await exchange.end()


async def failed_later(exchange: Exchange) -> None:
    await exchange.begin()
    await exchange.token(SHOWN)
    await exchange.token("And ")
    said = {"message": "Request failed during generation: oom", "http_status_code": 422}
    await exchange.event({"error": said})
    await exchange.data(DONE)
    await exchange.end()


async def told(database: Database, runner: Runner, text: str = "Why?") -> tuple[Any, list[Event]]:
    """Return the turn log and the events of a turn, and what its thread holds."""
    run = await begin(runner, text)
    log = await events(runner, run)
    async with database.transaction(TENANT) as conn:
        stored = await messages.list_after(conn, UUID(run.thread_id))
        kept = await turns.get(conn, UUID(run.run_id))
    return (stored, kept), log


@pytest.mark.parametrize("way", [refused, overloaded, broken, silent, garbled])
async def test_row_14_before_the_first_token(database: Database, way: Behaviour) -> None:
    """It is tried again a few times, then the turn ends with an answer that says so."""
    server = Server(way)
    async with asking(database, server) as runner:
        (stored, kept), log = await told(database, runner)
    assert 2 <= server.asked <= 8  # a few attempts, one connection replaced in each
    assert log[-1].type == "run.finished"
    assert [message.role for message in stored] == ["user", "assistant"]
    assert "does not answer" in stored[1].content
    assert kept.level == "canned"
    assert kept.model_calls[0]["error"] in {
        *("model_unavailable", "model_overloaded", "model_timeout", "stream_cut"),
    }


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (stalled, "model_timeout"),
        (cut, "stream_cut"),
        (garbled_later, "stream_cut"),
        (failed_later, "model_unavailable"),
    ],
)
async def test_row_14_after_the_first_token(database: Database, way: Behaviour, code: str) -> None:
    """The turn ends with a typed event, half an answer is no message, and it is asked once."""
    server = Server(way)
    async with asking(database, server) as runner:
        (stored, kept), log = await told(database, runner)
    assert server.asked == 1
    assert log[-1].type == "run.failed"
    assert log[-1].data["error"]["code"] == code
    assert [message.role for message in stored] == ["user"]
    assert kept.raw_answer.startswith(SHOWN)
    assert kept.outcome == "failed"


def calling(name: str, arguments: str, times: int = 1) -> Behaviour:
    """Return a server that calls this tool in TGI's words whenever tools are offered."""

    async def way(exchange: Exchange) -> None:
        await exchange.begin()
        if "tools" not in exchange.body:
            await exchange.token("That is all I found.", "stop")
        for _ in range(times if "tools" in exchange.body else 0):
            half = len(arguments) // 2
            for said, piece in ((name, arguments[:half]), (None, arguments[half:])):
                function = {"name": said, "arguments": piece}
                call = {"index": 0, "id": "0", "type": "function", "function": function}
                delta = {"role": "assistant", "tool_calls": [call]}
                choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
                await exchange.event({"choices": [choice]})
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        await exchange.event({"choices": [], "usage": usage})
        await exchange.data(DONE)
        await exchange.end()

    return way


def looking(done: list[str]) -> Tool:
    """Return a tool that only looks."""

    async def run(arguments: Arguments, caller: Caller, key: str) -> Output:
        done.append(str(arguments["word"]))
        return Output("It is up.")

    schema = {
        "type": "object",
        "properties": {"word": {"type": "string"}},
        "required": ["word"],
        "additionalProperties": False,
    }
    return Tool("look", "Looks.", schema, Declaration("none", "pure"), run)


@pytest.mark.parametrize(
    ("name", "arguments", "calls"),
    [
        ("look", '{"word": "up"}', 3),
        ("fly", '{"to": "Rome"}', 0),
        ("look", '{"wrong": 1}', 0),
    ],
)
async def test_row_15_a_server_that_calls_the_same_tool_forever(
    database: Database, name: str, arguments: str, calls: int
) -> None:
    """TGI's endless loop ends at the budget, and the answer says what was found and why it ends.

    Whether the call can be made or not: an unknown tool and arguments that do not fit are told
    to the model, which asks again.
    """
    done: list[str] = []
    server = Server(calling(name, arguments))
    async with asking(database, server, tools=(looking(done),)) as runner:
        (stored, _), log = await told(database, runner)
    assert len(done) == calls
    assert server.asked <= 5
    assert log[-1].type == "run.finished"
    assert "That is all I found." in stored[1].content
    assert "again and again" in stored[1].content


async def test_row_14_arguments_that_break_off(database: Database) -> None:
    """A call that is no JSON is not made; the turn ends as after any answer that breaks off."""
    done: list[str] = []
    server = Server(calling("look", '{"word": "u'))
    async with asking(database, server, tools=(looking(done),)) as runner:
        (stored, kept), log = await told(database, runner)
    assert done == []
    assert log[-1].type == "run.finished"
    assert "Nothing was done" in stored[1].content
    assert kept.model_calls[0]["error"] == "stream_cut"


async def test_row_14_repeated_ids(database: Database) -> None:
    """TGI's calls are all called "0": each gets an id of ours."""
    done: list[str] = []
    server = Server(calling("look", '{"word": "up"}'))
    async with asking(database, server, tools=(looking(done),)) as runner:
        (_, kept), _ = await told(database, runner)
    ids = [action["call_id"] for action in kept.actions]
    assert len(ids) == len(set(ids)) == 3
