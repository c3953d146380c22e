"""What Parley needs of a model server, each as one question to the real one.

Everything is asked through the client and the chat model that production uses.
A check returns what it saw, and raises Broken when the server does not keep the promise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages import ToolMessage as ToolResult
from pydantic import BaseModel

from core.errors import ModelOverloaded, ModelRejected, ParleyError
from tgi.adapters import Adapter, check_adapter
from tgi.chat_model import TgiChatModel
from tgi.client import Client
from tgi.native import Native
from tgi.probe.detect import Found
from tgi.stream import stream

QUESTION = "Name the four seasons of the year, one after the other, and say what each is like."
GREEDY: dict[str, Any] = {"temperature": 0.0, "seed": 1}
LONGEST = 400_000  # words of the longest prompt that is tried: below TGI's limit of 2 MB
_SHOWN = 160  # characters of what was seen
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Warsaw", "Zurich"]}},
            "required": ["city"],
        },
    },
}
ASKED = HumanMessage("What is the weather in Warsaw? Use the tool.")


class Forecast(BaseModel):
    """A forecast: nothing in it can grow longer than a model's patience."""

    season: Literal["spring", "summer", "autumn", "winter"]
    sunny: bool


class Broken(Exception):  # named for what happened
    """The server does not keep the promise."""


class Skipped(Exception):  # named for what happened
    """The check cannot be made here."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A server, and what to ask it with."""

    client: Client
    found: Found
    chat: TgiChatModel
    load: int  # requests at once
    adapter: Adapter | None = None


class Check(NamedTuple):
    """One promise."""

    name: str
    promise: str
    run: Callable[[Probed], Awaitable[str]]


class Outcome(NamedTuple):
    """What became of a check."""

    name: str
    promise: str
    status: Literal["holds", "fails", "skipped"]
    saw: str
    ms: float


async def examine(probed: Probed, check: Check) -> Outcome:
    """Return how a check went; never raises for what the server does."""
    began = time.perf_counter()
    status: Literal["holds", "fails", "skipped"] = "fails"
    try:
        saw = await check.run(probed)
        status = "holds"
    except Broken as broken:
        saw = str(broken)
    except Skipped as skipped:
        saw, status = str(skipped), "skipped"
    except ParleyError as error:
        saw = f"{error.code}: {error.message}"
    saw = " ".join(saw.split())[:_SHOWN]
    return Outcome(check.name, check.promise, status, saw, (time.perf_counter() - began) * 1000)


async def version(at: Probed) -> str:
    """It says which model answers."""
    record = await at.chat.info(refresh=True)
    if not record["version"]:
        await _ask(at, QUESTION, max_tokens=4)  # some say it in their answers only
        record = await at.chat.info(refresh=True)
    _require(record["name"], "it names no model")
    return " ".join(filter(None, (record["name"], record["version"], "on", record["server"])))


async def answer(at: Probed) -> str:
    """It answers whole, and says how the answer ended."""
    said = await _ask(at, QUESTION, max_tokens=32)
    _require(said.text.strip(), "the answer has no text")
    return _ended(said, {"stop", "length"})


async def streaming(at: Probed) -> str:
    """It streams, and the stream has an end."""
    began = time.perf_counter()
    first_ms = 0.0
    chunks = 0
    async with aclosing(stream(at.chat, [HumanMessage(QUESTION)], max_tokens=32)) as sent:
        async for chunk in sent:
            if chunk.text:
                chunks += 1
                first_ms = first_ms or (time.perf_counter() - began) * 1000
    _require(chunks, "the stream has no text")
    return f"{chunks} parts, the first after {first_ms:.0f} ms"


async def usage(at: Probed) -> str:
    """It counts tokens, streamed too."""
    said = await _joined(at, [HumanMessage(QUESTION)], max_tokens=16)
    counted = said.usage_metadata
    if counted is None or not counted["input_tokens"] or not counted["output_tokens"]:
        raise Broken("the stream has no usage")
    return f"{counted['input_tokens']} in, {counted['output_tokens']} out"


async def limit(at: Probed) -> str:
    """It keeps to the limit of tokens."""
    said = await _ask(at, QUESTION, max_tokens=2)
    counted = said.usage_metadata
    _require(counted is not None and counted["output_tokens"] <= 2, "the answer is longer")
    return _ended(said, {"length"})


async def stop(at: Probed) -> str:
    """It ends at a stop sequence."""
    whole = (await _ask(at, QUESTION, max_tokens=32, **GREEDY)).text
    middle = whole[len(whole) // 2 :].strip()[:3]
    if not middle or whole.startswith(middle):
        raise Skipped("its answer is too short to stop inside")
    said = await _ask(at, QUESTION, max_tokens=32, stop=[middle], **GREEDY)
    # TGI leaves the stop sequence at the end of the text, the others take it away.
    _require(middle not in said.text.removesuffix(middle), f"it goes on behind {middle!r}")
    return _ended(said, {"stop"})


async def tools(at: Probed) -> str:
    """It calls a tool, streamed and whole, with arguments that fit."""
    bound = at.chat.bind_tools([TOOL], tool_choice="required")
    whole = await bound.ainvoke([ASKED], max_tokens=64, **GREEDY)
    streamed = await _joined(
        at, [ASKED], tools=[TOOL], tool_choice="required", max_tokens=64, **GREEDY
    )
    for said in (whole, streamed):
        _require(len(said.tool_calls) == 1, f"{len(said.tool_calls)} calls instead of one")
        call = said.tool_calls[0]
        cities = TOOL["function"]["parameters"]["properties"]["city"]["enum"]  # type: ignore[index]
        fits = call["name"] == "weather" and call["args"].get("city") in cities
        _require(fits, f"the call is {call['name']}({call['args']})")
    return f"weather({whole.tool_calls[0]['args']})"


async def results(at: Probed) -> str:
    """It answers a tool's result, and does not ask for the same call without end."""
    args = {"city": "Warsaw"}
    messages: list[BaseMessage] = [
        ASKED,
        AIMessage("", tool_calls=[{"name": "weather", "args": args, "id": "call_1"}]),
        ToolResult("Sunny, 21 degrees.", tool_call_id="call_1"),
    ]
    said = await _joined(at, messages, tools=[TOOL], max_tokens=64, **GREEDY)
    repeated = any(call["args"] == args for call in said.tool_calls)
    _require(not repeated, "it asks for the same call again")
    _require(said.text.strip() or said.tool_calls, "it says nothing")
    return _ended(said, {"stop", "length", "tool_calls"})


async def structured(at: Probed) -> str:
    """It answers in the shape of a JSON schema."""
    told = at.chat.with_structured_output(Forecast)
    forecast: Any = await told.ainvoke(
        "Put into JSON: a sunny day in summer; sunny: true, season: summer.", max_tokens=64
    )
    return str(forecast.model_dump_json())


async def native(at: Probed) -> str:
    """Its route /generate keeps to a grammar."""
    if not at.found.profile.native:
        raise Skipped(f"{at.found.profile.server} has no such route")
    return await Native(at.client, at.found.profile).choose(
        "Is a day in July in Warsaw warm or cold? It is", ("warm", "cold")
    )


async def long_input(at: Probed) -> str:
    """It refuses a prompt that is too long, and says so."""
    words = min(int((at.found.context_tokens or LONGEST) * 1.25), LONGEST)
    try:
        await _ask(at, "word " * words, max_tokens=4)
    except ModelRejected as error:
        return error.message[:80]
    raise Broken(f"it took a prompt of {words} words")


async def overload(at: Probed) -> str:
    """Asked by many at once, it answers each, or says that it is busy."""
    said = await asyncio.gather(
        *(_ask(at, QUESTION, max_tokens=4) for _ in range(at.load)), return_exceptions=True
    )
    busy = 0
    for one in said:
        if isinstance(one, ModelOverloaded):
            busy += 1
        elif isinstance(one, BaseException):
            raise one
    return f"{at.load} at once: {at.load - busy} answered, {busy} refused"


async def cancel(at: Probed) -> str:
    """A stream that nobody reads any more is closed, and the next question is answered."""
    sent = stream(at.chat, [HumanMessage(QUESTION)], max_tokens=256)
    async for _ in sent:
        break
    began = time.perf_counter()
    await sent.aclose()
    closed = time.perf_counter()
    await _ask(at, QUESTION, max_tokens=1)
    return (
        f"closed in {(closed - began) * 1000:.0f} ms, "
        f"the next answer after {(time.perf_counter() - closed) * 1000:.0f} ms"
    )


async def adapted(at: Probed) -> str:
    """It has the adapter that was named."""
    if at.adapter is None:
        raise Skipped("none was named with --adapter")
    await check_adapter(at.client, at.found.profile, at.found.model_name, at.adapter)
    return at.adapter.name


CHECKS = tuple(
    Check(name, (run.__doc__ or "").rstrip("."), run)
    for name, run in (
        ("version", version),
        ("answer", answer),
        ("streaming", streaming),
        ("usage", usage),
        ("limit", limit),
        ("stop", stop),
        ("tools", tools),
        ("results", results),
        ("structured", structured),
        ("native", native),
        ("long_input", long_input),
        ("overload", overload),
        ("cancel", cancel),
        ("adapter", adapted),
    )
)


async def _ask(at: Probed, question: str, **parameters: Any) -> AIMessage:
    return await at.chat.ainvoke([HumanMessage(question)], **parameters)


async def _joined(at: Probed, messages: list[BaseMessage], **parameters: Any) -> AIMessageChunk:
    joined: AIMessageChunk | None = None
    async with aclosing(stream(at.chat, messages, **parameters)) as sent:
        async for chunk in sent:
            joined = chunk if joined is None else joined + chunk
    if joined is None:
        raise Broken("the stream is empty")
    return joined


def _ended(said: AIMessage, allowed: set[str]) -> str:
    reason = str(said.response_metadata["finish_reason"])
    _require(reason in allowed, f"it ended with {reason!r} instead of {', '.join(sorted(allowed))}")
    return f"{reason}: {' '.join(said.text.split())[:60]}"


def _require(holds: object, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
