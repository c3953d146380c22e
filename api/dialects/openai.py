"""OpenAI's dialect: chat completions and the list of models, for any client that speaks it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from starlette.responses import Response

from api.bodies import JsonRoute
from api.caller import CallerDep
from api.dialects import examples
from api.dialects.completions import ChatRequest, check, converse, sampling
from api.dialects.examples import answers
from api.dialects.outcome import Outcome, await_outcome
from api.errors import openai_body
from api.ids import canonical
from api.state import ServicesDep, StreamsDep
from core.errors import ModelNotFound, ParleyError, ServerStopping, StreamCut, ThreadNotFound
from core.events import Event
from core.turn import ModelRecord
from graphs.runner import StartedRun

MODEL = "parley"
DONE = b"data: [DONE]\n\n"

router = APIRouter(prefix="/v1", tags=["openai"], route_class=JsonRoute)


@router.get("/models", responses=answers({"object": "list", "data": [examples.MODEL]}))
async def list_models(services: ServicesDep) -> JSONResponse:
    """Return the models there are: one, and what really answers behind it."""
    record = await services.model.info()
    return JSONResponse({"object": "list", "data": [describe(record)]})


@router.get("/models/{model}", responses=answers(examples.MODEL))
async def read_model(
    model: Annotated[str, Path(examples=[MODEL])], services: ServicesDep
) -> JSONResponse:
    """Return one model."""
    if model != MODEL:
        raise ModelNotFound(param="model")
    return JSONResponse(describe(await services.model.info()))


@router.post(
    "/chat/completions",
    response_model=None,
    responses=answers(examples.COMPLETION, stream=examples.STREAM),
)
async def complete_chat(
    body: ChatRequest, services: ServicesDep, streams: StreamsDep, caller: CallerDep
) -> Response:
    """Answer the last message; with `stream` as it is written.

    The answer cites its sources as [1], [2]; what they stand for is in the extra field `parley`
    of the message, in a stream of the last delta. Each request begins a thread of its own,
    unless it names one in `thread_id`.
    """
    if body.model != MODEL:
        raise ModelNotFound(param="model")
    check(body)
    said = converse(body.messages)
    wanted = sampling(body)
    if body.thread_id is not None:
        canonical(body.thread_id, ThreadNotFound)
    record = await services.model.info()
    run = await services.runner.start(
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        groups=caller.groups,
        roles=caller.roles,
        thread_id=body.thread_id,
        text=said.text,
        instructions=said.instructions,
        given_history=said.history if body.thread_id is None else [],
        parameters=wanted,
    )
    events = services.runner.tail(
        tenant_id=caller.tenant_id, thread_id=run.thread_id, run_id=run.run_id
    )
    reply = Reply(run, record, created=int(time.time()))
    headers = {"Content-Location": f"/v1/threads/{run.thread_id}/runs/{run.run_id}"}
    if not body.stream:
        outcome = await streams.unless_closed(await_outcome(events))
        return JSONResponse(reply.completion(outcome), headers=headers)
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    chunks = stream(events, reply, include_usage=usage)
    # What fails before the first word is an HTTP status, so wait for the word.
    first = await streams.unless_closed(begin(chunks))
    return streams.response(
        after(first, chunks),
        goodbye=data({"error": openai_body(ServerStopping())}),
        opening=b"",
        headers=headers,
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What all parts of one answer share."""

    run: StartedRun
    record: ModelRecord
    created: int  # seconds since 1970

    def completion(self, outcome: Outcome) -> dict[str, Any]:
        """Return the whole answer."""
        assert outcome.message is not None
        message = {
            "role": "assistant",
            "content": outcome.message["content"],
            "refusal": None,
            "annotations": [],
            "parley": self.parley(outcome),
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": outcome.message["finish_reason"],
        }
        return {
            **self._head("chat.completion"),
            "choices": [choice],
            "usage": usage_of(outcome),
        }

    def chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
        """Return a piece of the answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, outcome: Outcome) -> dict[str, Any]:
        """Return the chunk that only counts."""
        return {
            **self._head("chat.completion.chunk"),
            "choices": [],
            "usage": usage_of(outcome),
        }

    def parley(self, outcome: Outcome) -> dict[str, Any]:
        """Return what OpenAI has no word for."""
        assert outcome.message is not None
        return {
            "thread_id": self.run.thread_id,
            "run_id": self.run.run_id,
            "citations": outcome.message["citations"],
            "sources": outcome.sources,
            "abstained": outcome.message["abstained"],
            "cached": outcome.message.get("cached"),  # exact | semantic | None
            "model": (outcome.usage or {}).get("model"),  # None when no model was asked
        }

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.run.run_id}",
            "object": kind,
            "created": self.created,
            "model": self.record["name"],
            "system_fingerprint": self.record["version"],
            "service_tier": "default",
        }


async def stream(
    events: AsyncIterator[Event], reply: Reply, *, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """Yield the answer as chunks.

    An error before the first chunk is raised; after it, it is the last chunk.
    """
    outcome, spoken = Outcome(), Spoken()
    begun = False
    try:
        async for event in events:
            outcome.add(event)
            if new := spoken.add(event):
                delta = {"content": new}
                if not begun:
                    delta = {"role": "assistant", "content": new}
                begun = True
                yield data(reply.chunk(delta))
        if not outcome.finished or outcome.message is None:
            raise StreamCut
    except ParleyError as error:
        if not begun:
            raise
        yield data({"error": openai_body(error)})
        return
    reason = outcome.message["finish_reason"]
    yield data(reply.chunk({"parley": reply.parley(outcome)}, finish_reason=reason))
    if include_usage:
        yield data(reply.usage_chunk(outcome))
    yield DONE


class Spoken:
    """The text that a client has; it cannot be taken back when a run starts over."""

    def __init__(self) -> None:
        self._said = ""  # what the client has
        self._text = ""  # what this attempt has written

    def add(self, event: Event) -> str:
        """Return what `event` adds; raises StreamCut when it contradicts what was said."""
        match event.type:
            case "token":
                self._text += event.data["text"]
            case "run.resumed":
                self._text = ""
            case "message.finished":
                # The final text may have lost blanks at its ends, which nobody minds.
                content = str(event.data["content"])
                self._text = content if content.startswith(self._said) else self._text
            case _:
                return ""
        if self._text.startswith(self._said):
            new = self._text[len(self._said) :]
            self._said = self._text
            return new
        if not self._said.startswith(self._text):
            raise StreamCut("The answer was begun anew in other words; please ask again.")
        return ""


async def begin(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """Return the first chunk."""
    return await anext(chunks)


async def after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield `first`, then the rest."""
    yield first
    async for piece in rest:
        yield piece


def data(content: dict[str, Any]) -> bytes:
    """Return `content` as one event of OpenAI's streams, which have no names and no ids."""
    return b"data: " + orjson.dumps(content) + b"\n\n"


def usage_of(outcome: Outcome) -> dict[str, int]:
    """Return the tokens as counted; zeros when no model was asked."""
    usage = outcome.usage or {}
    return {
        name: int(usage.get(name) or 0)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    }


def describe(record: ModelRecord) -> dict[str, Any]:
    """Return the one model of the list, and which model that really is."""
    return {
        "id": MODEL,
        "object": "model",
        "created": 0,
        "owned_by": "parley",
        "name": record["name"],
        "version": record["version"],
        "server": record["server"],
    }
