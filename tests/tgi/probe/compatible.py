"""An OpenAI-compatible server whose every answer is scripted, good or bad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
MODELS = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "somebody"}]}
Reply = Callable[[dict[str, Any]], dict[str, Any]]


def said(text: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what a reply says: `content`, and whatever else it should have."""
    return {"content": text, "finish_reason": "stop", "usage": USAGE, **more}


def called(name: str, arguments: str) -> dict[str, Any]:
    """Return a reply that calls a tool."""
    call = {"index": 0, "id": "0", "type": "function"}
    call["function"] = {"name": name, "arguments": arguments}
    return said(tool_calls=[call], finish_reason="tool_calls")


def good(asked: dict[str, Any]) -> dict[str, Any]:
    """Reply as a server should."""
    text = str(asked["messages"][-1]["content"])
    if len(text) > 100_000:
        return {"status": 400, "error": {"message": "too long"}}
    if "response_format" in asked:
        return said('{"season": "summer", "sunny": true}')
    if asked.get("tools") and asked["messages"][-1]["role"] != "tool":
        return called("weather", '{"city": "Warsaw"}')
    if asked.get("max_completion_tokens") == 2:
        return said("Spring and", finish_reason="length")
    whole = "Spring is green. Summer is hot. Autumn is red. Winter is white."
    return said(whole.partition((asked.get("stop") or ["\n"])[0])[0])


def compatible(reply: Reply = good, pages: dict[str, Any] | None = None) -> Starlette:
    """Return the server. A reply may have a `status` other than 200; then it is the whole body."""

    async def chat(request: Request) -> Response:
        asked = await request.json()
        answer = dict(reply(asked))
        if (status := answer.pop("status", 200)) != 200:
            return JSONResponse(answer, status)
        usage, finish = answer.pop("usage"), answer.pop("finish_reason")
        answer = {key: value for key, value in answer.items() if value is not None}
        envelope = {"model": "m", "system_fingerprint": "f1"}
        message = {"role": "assistant", **answer}
        if not asked.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return JSONResponse(envelope | {"choices": [choice], "usage": usage})
        choice = {"index": 0, "delta": message, "finish_reason": finish}
        frames = [envelope | {"choices": [choice]}, envelope | {"choices": [], "usage": usage}]
        body = b"".join(b"data: " + orjson.dumps(frame) + b"\n\n" for frame in frames)
        return StreamingResponse(iter([body + b"data: [DONE]\n\n"]), media_type="text/event-stream")

    def page(body: Any) -> Callable[[Request], Response]:
        return lambda _: JSONResponse(body)

    shown = {"/v1/models": MODELS} | (pages or {})
    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            *(Route(path, page(body)) for path, body in shown.items()),
        ]
    )
