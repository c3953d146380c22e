"""Spoils the answers of the embedded server as it was told: an ASGI app around another one.

A server that is to behave well does without it, so that nothing of this costs it anything.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tgi.embedded.engine import Engine
from tgi.embedded.failures import Broken, Incomplete, Overloaded, Refused
from tgi.embedded.faults import Behaviour, Faults
from tgi.embedded.frames import DONE
from tgi.embedded.serve import CLOSE, is_loopback
from tgi.embedded.wire import parse, read

GENERATING = frozenset(
    {
        *("/", "/invocations", "/generate", "/generate_stream"),
        *("/v1/chat/completions", "/v1/completions"),
    }
)
FAILURES = {
    "overload": Overloaded(),
    "fail": Broken("told to"),
    "crash": Incomplete("told to"),
}
UNKNOWN_TOOL = "no_such_tool"


class Misbehaving:
    """The server with its faults; `control` adds the route /faults.

    Only requests that generate are counted and struck. A server that drops all of them
    answers nothing else either.
    """

    def __init__(self, app: ASGIApp, engine: Engine, faults: Faults, *, control: bool) -> None:
        self._app = app
        self._engine = engine
        self._faults = faults
        self._control = control
        self._count = 0  # requests since the faults were told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, in a way."""
        if self._control and scope["path"] == "/faults":
            response = await self._told(Request(scope, receive))
            await response(scope, receive, send)
            return
        faults = self._faults
        struck: frozenset[str] = frozenset()
        if scope["method"] == "POST" and scope["path"] in GENERATING:
            self._count += 1
            struck = faults.at(self._count)
        if "drop" in struck or faults.drop == 1:
            await _close(scope, receive)
        elif failing := [failure for kind, failure in FAILURES.items() if kind in struck]:
            self._engine.metrics.asked()
            self._engine.metrics.failed(failing[0].counted_as)
            body = orjson.dumps(failing[0].body())
            answer = Response(body, failing[0].status, media_type="application/json")
            await answer(scope, receive, send)
        elif struck:
            spoiled = Spoiled(send, faults, struck)
            await self._app(scope, receive, spoiled)
            if spoiled.is_cut:
                await _close(scope, receive)
        else:
            await self._app(scope, receive, send)

    async def _told(self, request: Request) -> Response:
        """Show what was told, or take something else."""
        if request.client is None or not is_loopback(request.client.host):
            return PlainTextResponse("This is for this machine only.", 403)
        if request.method == "PUT":
            try:
                told = parse(Behaviour, await read(request, limit_bytes=10_000))
            except Refused as error:
                return PlainTextResponse(error.text, error.status)
            self._engine.timing, self._faults, self._count = told.timing, told.faults, 0
        elif request.method != "GET":
            return PlainTextResponse("GET or PUT", 405)
        now = Behaviour(timing=self._engine.timing, faults=self._faults)
        return Response(now.model_dump_json(), media_type="application/json")


class Spoiled:
    """Sends one answer, with what strikes it; an answer that is an error is left alone."""

    def __init__(self, send: Send, faults: Faults, struck: frozenset[str]) -> None:
        self.is_cut = False
        self._send = send
        self._faults = faults
        self._struck = struck
        self._head: Message | None = None  # of a whole answer, until its length is known
        self._streams = False
        self._sent = 0  # events
        self._over = False  # what strikes in the middle has struck

    async def __call__(self, message: Message) -> None:
        """Send the next message of the answer."""
        if self.is_cut:
            return
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            self._streams = kind.startswith(b"text/event-stream")
            if self._streams or message["status"] != 200:
                await self._send(message)
            else:
                self._head = message
        elif self._streams:
            await self._stream(message)
        elif self._head is not None:
            await self._whole(self._head, message["body"])
        else:
            await self._send(message)

    async def _whole(self, head: Message, body: bytes) -> None:
        if self._struck & {"stall", "pause"}:
            await asyncio.sleep(self._faults.silence_seconds)
        body = self._recalled(body)
        if "garble" in self._struck:
            body = _garbled(body)
        length = (b"content-length", str(len(body)).encode())
        headers = [length if pair[0] == length[0] else pair for pair in head["headers"]]
        await self._send({**head, "headers": headers})
        self.is_cut = "cut" in self._struck
        if self.is_cut:
            body = body[: len(body) // 2]
        await self._send({"type": "http.response.body", "body": body, "more_body": self.is_cut})

    async def _stream(self, message: Message) -> None:
        for part in message["body"].split(b"\n\n")[:-1]:
            event = await self._spoiled(part + b"\n\n")
            if self.is_cut:
                return
            self._sent += 1
            await self._send({"type": "http.response.body", "body": event, "more_body": True})
        if not message["more_body"]:
            await self._send({**message, "body": b""})

    async def _spoiled(self, event: bytes) -> bytes:
        """Return the event as it is to be sent, when its time has come."""
        if not self._sent and "stall" in self._struck:
            await asyncio.sleep(self._faults.silence_seconds)
        if not self._over and (self._sent >= self._faults.after_tokens or event == DONE):
            self._over = True
            if "pause" in self._struck:
                await asyncio.sleep(self._faults.silence_seconds)
            self.is_cut = "cut" in self._struck
            if "garble" in self._struck:
                return event[:6] + _garbled(event[6:])
        return event if event == DONE else event[:6] + self._recalled(event[6:-2]) + b"\n\n"

    def _recalled(self, body: bytes) -> bytes:
        """Return the JSON of an answer, or of a part of one, with its calls of tools spoiled."""
        if not self._struck & {"unknown_tool", "repeat_call"}:
            return body
        data = orjson.loads(body)
        for choice in data.get("choices", ()):
            said = choice.get("delta") or choice.get("message") or {}
            calls: list[dict[str, Any]] = said.get("tool_calls") or []
            for call in calls:
                if "unknown_tool" in self._struck and call["function"]["name"]:
                    call["function"]["name"] = UNKNOWN_TOOL
            if "repeat_call" in self._struck:
                calls += [call | ({"index": 1} if "index" in call else {}) for call in calls]
        return orjson.dumps(data)


def _garbled(data: bytes) -> bytes:
    return b"<" + data[1:]


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection, once what was sent has left."""
    scope["extensions"][CLOSE]["close"]()
    # The server takes an answer without an end for a mistake, unless the connection is closed.
    while (await receive())["type"] != "http.disconnect":
        pass
