"""OpenAI's dialect: chat completions and the list of models, for any client that speaks it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from api.bodies import JsonRoute
from api.build import Services
from api.caller import CallerDep
from api.dialects import examples
from api.dialects.completions import ChatRequest, check, converse, sampling
from api.dialects.examples import answers
from api.dialects.outcome import await_outcome, until_waiting
from api.dialects.reply import Question, Reply, data, stream
from api.errors import openai_body
from api.idempotency import KeyHeader, request_key
from api.ids import canonical
from api.state import ServicesDep, StreamsDep
from core.errors import ModelNotFound, ServerStopping, ThreadNotFound
from core.turn import ModelRecord
from db import runs
from graphs.admission import StartedRun
from tools import approvals

MODEL = "parley"

router = APIRouter(prefix="/v1", tags=["openai"], route_class=JsonRoute)


@router.get("/models", responses=answers({"object": "list", "data": [examples.MODEL]}))
async def list_models(services: ServicesDep) -> JSONResponse:
    """Return the models there are: one, and what really answers behind it."""
    record = await services.models.info()
    return JSONResponse({"object": "list", "data": [describe(record)]})


@router.get("/models/{model}", responses=answers(examples.MODEL))
async def read_model(
    model: Annotated[str, Path(examples=[MODEL])], services: ServicesDep
) -> JSONResponse:
    """Return one model."""
    if model != MODEL:
        raise ModelNotFound(param="model")
    return JSONResponse(describe(await services.models.info()))


@router.post(
    "/chat/completions",
    response_model=None,
    responses=answers(examples.COMPLETION, stream=examples.STREAM),
)
async def complete_chat(
    body: ChatRequest,
    services: ServicesDep,
    streams: StreamsDep,
    caller: CallerDep,
    request: Request,
    idempotency_key: KeyHeader = None,
) -> Response:
    """Answer the last message; with `stream` as it is written.

    The answer cites its sources as [1], [2]; what they stand for is in the extra field `parley`
    of the message, in a stream of the last delta. Each request begins a thread of its own,
    unless it names one in `thread_id`. A turn that waits for a person is answered at once: the
    text says so, and `parley` has the status `waiting` and the approvals. It goes on by itself
    when they have decided, and its answer is added to the thread.
    """
    if body.model != MODEL:
        raise ModelNotFound(param="model")
    check(body)
    said = converse(body.messages)
    wanted = sampling(body)
    if body.thread_id is not None:
        canonical(body.thread_id, ThreadNotFound)
    record = await services.models.info()
    run = await services.runner.start(
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        groups=caller.groups,
        roles=caller.roles,
        names=caller.names,
        thread_id=body.thread_id,
        text=said.text,
        instructions=said.instructions,
        given_history=said.history if body.thread_id is None else [],
        parameters=wanted,
        key=request_key(idempotency_key, request, body),
    )
    asking = Asking(services, caller.tenant_id, run)
    events = until_waiting(
        services.runner.tail(
            tenant_id=caller.tenant_id, thread_id=run.thread_id, run_id=run.run_id
        ),
        asking.look,
    )
    reply = Reply(run, record, created=int(time.time()))
    headers = {"Content-Location": f"/v1/threads/{run.thread_id}/runs/{run.run_id}"}
    if not body.stream:
        outcome = await streams.unless_closed(await_outcome(events))
        question = await asking.question() if outcome.waiting else None
        return JSONResponse(reply.completion(outcome, question), headers=headers)
    usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    chunks = stream(events, reply, include_usage=usage, ask=asking.question)
    # What fails before the first word is an HTTP status, so wait for the word.
    first = await streams.unless_closed(begin(chunks))
    return streams.response(
        after(first, chunks),
        goodbye=data({"error": openai_body(ServerStopping())}),
        opening=b"",
        headers=headers,
    )


@dataclass(frozen=True, slots=True)
class Asking:
    """Looks what a run waits for."""

    services: Services
    tenant_id: str
    run: StartedRun

    async def look(self) -> runs.Run:
        """Return the run as it is."""
        async with self.services.database.transaction(self.tenant_id) as conn:
            return await runs.get(conn, UUID(self.run.thread_id), UUID(self.run.run_id))

    async def question(self) -> Question:
        """Return what the run waits for, and the sentence that says so."""
        async with self.services.database.transaction(self.tenant_id) as conn:
            run = await runs.get(conn, UUID(self.run.thread_id), UUID(self.run.run_id))
            asked = [await approvals.get(conn, approval_id) for approval_id in run.approvals]
        tools = ", ".join(dict.fromkeys(approval.tool for approval in asked))
        return Question(
            self.services.runner.services.replies.say("waiting", tool=tools),
            [
                {
                    "approval_id": str(approval.approval_id),
                    "tool": approval.tool,
                    "arguments": approval.arguments,
                }
                for approval in asked
            ],
        )


async def begin(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """Return the first chunk."""
    return await anext(chunks)


async def after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield `first`, then the rest."""
    yield first
    async for piece in rest:
        yield piece


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
