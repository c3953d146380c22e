"""Our own dialect: threads, their messages, runs and the events of a run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from api.bodies import JsonRoute
from api.build import Services
from api.caller import Caller, CallerDep
from api.dialects import resources
from api.dialects.cursor import read_cursor, write_cursor
from api.dialects.outcome import await_outcome, until_waiting
from api.idempotency import KeyHeader, request_key
from api.ids import RunId, ThreadId, owned
from api.sse import EventStream, frame
from api.state import ServicesDep, StreamsDep
from core.errors import InvalidInput, RunEnded, RunNotFound
from core.events import Event
from core.text import accept
from db import messages, runs, threads, turns

BIGGEST_SEQ = 2**63 - 1
STOP_SECONDS = 5.0
_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": resources.ErrorAnswer, "description": "There is no such thread or run."},
    422: {"model": resources.ErrorAnswer, "description": "The input is not valid."},
    503: {"model": resources.ErrorAnswer, "description": "A service does not answer."},
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "model": resources.ErrorAnswer,
        "description": "A run is active and you would not wait, too many wait, or it has ended.",
    }
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The finished run (`wait`), or its events (`stream`).",
        "model": resources.AnsweredRun,
        "content": {
            "text/event-stream": {
                "example": "id: 1\nevent: run.started\ndata: {…}\n\n"
                'id: 5\nevent: token\ndata: {"text":"Stop the server"}\n\n'
            }
        },
    }
}


Limit = Annotated[int, Query(ge=1, le=200, description="At most this many.")]

router = APIRouter(prefix="/v1", tags=["conversations"], route_class=JsonRoute, responses=_ERRORS)


@router.post("/threads", status_code=201)
async def create_thread(
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
    body: resources.NewThread | None = None,
) -> resources.Thread:
    """Begin a conversation; the body may be left out."""
    wanted = body or resources.NewThread()
    async with services.database.transaction(caller.tenant_id) as conn:
        thread = await threads.create(
            conn,
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            title=wanted.title,
            metadata=wanted.metadata,
        )
    response.headers["Location"] = f"/v1/threads/{thread.thread_id}"
    return resources.Thread.model_validate(thread)


@router.get("/threads")
async def list_threads(
    services: ServicesDep,
    caller: CallerDep,
    limit: Limit = 20,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> resources.ThreadPage:
    """Return your conversations, the last one used first."""
    before = read_cursor(cursor) if cursor else None
    async with services.database.transaction(caller.tenant_id) as conn:
        found = await threads.list_recent(
            conn, user_id=caller.user_id, limit=limit + 1, before=before
        )
    more = len(found) > limit
    page = [resources.Thread.model_validate(thread) for thread in found[:limit]]
    return resources.ThreadPage(
        threads=page, next=write_cursor(page[-1].updated_at, page[-1].thread_id) if more else None
    )


@router.get("/threads/{thread_id}")
async def read_thread(
    thread_id: ThreadId, services: ServicesDep, caller: CallerDep
) -> resources.Thread:
    """Return one conversation."""
    async with services.database.transaction(caller.tenant_id) as conn:
        return resources.Thread.model_validate(await owned(conn, caller, thread_id))


@router.patch("/threads/{thread_id}")
async def change_thread(
    thread_id: ThreadId, body: resources.ThreadChange, services: ServicesDep, caller: CallerDep
) -> resources.Thread:
    """Rename a conversation, or replace its metadata."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        thread = await threads.update(conn, thread_id, title=body.title, metadata=body.metadata)
    return resources.Thread.model_validate(thread)


@router.delete("/threads/{thread_id}", status_code=204)
async def delete_thread(thread_id: ThreadId, services: ServicesDep, caller: CallerDep) -> None:
    """Delete a conversation with all that belongs to it; its turns are cancelled first.

    Those that run, those that are queued, and those that wait for a person, whose questions end.
    """
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        active = await runs.active(conn, thread_id)
    for run in reversed(active):  # or cancelling the first would let the next one begin
        await _stop(services, caller, run)
    async with services.database.transaction(caller.tenant_id) as conn:
        await threads.delete(conn, thread_id)


@router.get("/threads/{thread_id}/messages")
async def list_messages(
    thread_id: ThreadId,
    services: ServicesDep,
    caller: CallerDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="A message's `seq`.")] = 0,
    limit: Limit = 100,
) -> resources.MessagePage:
    """Return the messages of a conversation, oldest first."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        found = await messages.list_after(conn, thread_id, after=after, limit=limit + 1)
    page = [resources.Message.model_validate(message) for message in found[:limit]]
    return resources.MessagePage(messages=page, next=page[-1].seq if len(found) > limit else None)


@router.post(
    "/threads/{thread_id}/runs",
    status_code=202,
    response_model=resources.Run,
    responses={**_STREAM, **_CONFLICT},
)
async def start_run(
    thread_id: ThreadId,
    body: resources.NewRun,
    services: ServicesDep,
    streams: StreamsDep,
    caller: CallerDep,
    response: Response,
    request: Request,
    idempotency_key: KeyHeader = None,
    wait: Annotated[bool, Query(description="Answer when the run has ended.")] = False,
) -> Any:
    """Send a message: begins a turn, which goes on whether or not you listen.

    `stream` answers with its events, `?wait=true` with the finished message, otherwise the run
    is returned at once and its events are at `Location`. A run that waits for a person answers
    `?wait=true` with 202 and what it waits for; a stream stays open until they have decided.
    A second message during a turn waits for its end, unless `multitask_strategy` says otherwise.
    The same request with the same `Idempotency-Key` is answered with the run that it has begun.
    """
    text = accept(body.input, what="input")
    if wait and body.stream:
        raise InvalidInput("Choose one of `stream` and `wait`.", param="wait")
    started = await services.runner.start(
        tenant_id=caller.tenant_id,
        user_id=caller.user_id,
        groups=caller.groups,
        roles=caller.roles,
        names=caller.names,
        thread_id=str(thread_id),
        text=text,
        multitask=body.multitask_strategy,
        key=request_key(idempotency_key, request, body),
        webhook=body.webhook,
    )
    run_id = UUID(started.run_id)
    headers = places(thread_id, started.run_id)
    events = services.runner.tail(
        tenant_id=caller.tenant_id, thread_id=started.thread_id, run_id=started.run_id
    )
    if body.stream:
        return streams.response(framed(events), headers=headers)

    async def look() -> runs.Run:
        async with services.database.transaction(caller.tenant_id) as conn:
            return await runs.get(conn, thread_id, run_id)

    outcome = (
        await streams.unless_closed(await_outcome(until_waiting(events, look))) if wait else None
    )
    run = resources.Run.model_validate(await look())
    response.headers.update(headers)
    if outcome is None or outcome.waiting:
        return run
    answered = resources.AnsweredRun(
        run=run, message=resources.Answer.model_validate(outcome.message)
    )
    return Response(answered.model_dump_json(), 200, headers=headers, media_type="application/json")


@router.get("/threads/{thread_id}/runs")
async def list_runs(
    thread_id: ThreadId, services: ServicesDep, caller: CallerDep, limit: Limit = 20
) -> resources.RunList:
    """Return the runs of a conversation, newest first."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        found = await runs.list_of_thread(conn, thread_id, limit=limit)
    return resources.RunList(runs=[resources.Run.model_validate(run) for run in found])


@router.get("/threads/{thread_id}/runs/{run_id}")
async def read_run(
    thread_id: ThreadId, run_id: RunId, services: ServicesDep, caller: CallerDep
) -> resources.Run:
    """Return one run."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        return resources.Run.model_validate(await runs.get(conn, thread_id, run_id))


@router.get("/threads/{thread_id}/runs/{run_id}/events", response_model=None, responses=_STREAM)
async def follow_run(
    thread_id: ThreadId,
    run_id: RunId,
    services: ServicesDep,
    streams: StreamsDep,
    caller: CallerDep,
    after: Annotated[int, Query(ge=-1, le=BIGGEST_SEQ, description="Begin after this event.")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=-1, le=BIGGEST_SEQ, description="As `after`; browsers send it.")
    ] = None,
) -> EventStream:
    """Follow a run: its stored events, then those to come, until it ends.

    Each event has a number. After a lost connection, go on where you were.
    """
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        await runs.get(conn, thread_id, run_id)
    events = services.runner.tail(
        tenant_id=caller.tenant_id,
        thread_id=str(thread_id),
        run_id=str(run_id),
        after=max(0, after if last_event_id is None else last_event_id),
    )
    return streams.response(framed(events))


@router.post(
    "/threads/{thread_id}/runs/{run_id}/cancel",
    status_code=202,
    responses=_CONFLICT,
)
async def cancel_run(
    thread_id: ThreadId, run_id: RunId, services: ServicesDep, caller: CallerDep
) -> resources.Run:
    """Ask a run to stop; its events end with `run.cancelled` a moment later."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
    await services.runner.cancel(
        tenant_id=caller.tenant_id, thread_id=str(thread_id), run_id=str(run_id)
    )
    async with services.database.transaction(caller.tenant_id) as conn:
        return resources.Run.model_validate(await runs.get(conn, thread_id, run_id))


@router.post(
    "/threads/{thread_id}/runs/{run_id}/retry",
    status_code=202,
    response_model=resources.Run,
    responses=_CONFLICT,
)
async def retry_run(
    thread_id: ThreadId,
    run_id: RunId,
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
) -> resources.Run:
    """Ask once more what a run was asked that failed or was cancelled.

    The message is taken from that run and given to a new one, which is returned at once; its
    events are at `Location`. Only for the last turn of a thread, and not when it did something
    that would be done again.
    """
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
    started = await services.runner.retry(caller, thread_id=str(thread_id), run_id=str(run_id))
    response.headers.update(places(thread_id, started.run_id))
    async with services.database.transaction(caller.tenant_id) as conn:
        return resources.Run.model_validate(await runs.get(conn, thread_id, UUID(started.run_id)))


@router.get("/threads/{thread_id}/runs/{run_id}/turn")
async def read_turn(
    thread_id: ThreadId, run_id: RunId, services: ServicesDep, caller: CallerDep
) -> resources.TurnLog:
    """Return the turn log: prompt as sent, passages with their scores, model, time per stage."""
    async with services.database.transaction(caller.tenant_id) as conn:
        await owned(conn, caller, thread_id)
        await runs.get(conn, thread_id, run_id)
        return resources.TurnLog.model_validate(await turns.get(conn, run_id))


def places(thread_id: UUID, run_id: str) -> dict[str, str]:
    """Return the headers that say where a run and its events are."""
    path = f"/v1/threads/{thread_id}/runs/{run_id}"
    return {"Location": f"{path}/events", "Content-Location": path}


async def framed(events: AsyncIterator[Event]) -> AsyncGenerator[bytes, None]:
    """Yield events as they go over the wire."""
    async for event in events:
        yield frame(event)


async def _stop(services: Services, caller: Caller, run: runs.Run) -> None:
    thread_id, run_id = str(run.thread_id), str(run.run_id)
    runner, tenant_id = services.runner, caller.tenant_id
    # It may end by itself in the meantime, or belong to a process that died.
    with contextlib.suppress(RunEnded, RunNotFound, TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await runner.cancel(tenant_id=tenant_id, thread_id=thread_id, run_id=run_id)
            async for _ in runner.tail(tenant_id=tenant_id, thread_id=thread_id, run_id=run_id):
                pass
