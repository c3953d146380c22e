"""TGI's recorded answers, and a server that gives them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

# Null keys that the recording clients added and TGI never sends; `shared/tgi/README.md`.
_ADDED = {
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "service_tier",
    "top_tokens",
    "best_of_sequences",
    "completion_tokens_details",
    "prompt_tokens_details",
}


class Recording(NamedTuple):
    """One file: answers to parallel requests, or the events of one stream."""

    file: str
    route: str  # /v1/chat/completions, /v1/completions or /
    streamed: bool
    objects: list[dict[str, Any]]


def load(folder: Path) -> list[Recording]:
    """Return every recording of the manifest, as TGI sent it."""
    manifest = orjson.loads((folder / "MANIFEST.json").read_bytes())
    recordings = []
    for entry in manifest["files"]:
        data = orjson.loads((folder / entry["file"]).read_bytes())
        objects = [_as_sent(item) for item in (data if isinstance(data, list) else [data])]
        route = entry["route"].split()[0]
        recordings.append(
            Recording(
                entry["file"],
                "/" if route == "/generate" else route,
                "(stream)" in entry["route"],
                objects,
            )
        )
    return recordings


class Player:
    """A server that answers every POST to its route with what it was told to play."""

    def __init__(self, route: str) -> None:
        self.app = Starlette(routes=[Route(route, self._answer, methods=["POST"])])
        self._play: dict[str, Any] | list[dict[str, Any]] = {}

    def play(self, sent: dict[str, Any] | list[dict[str, Any]]) -> None:
        """Set the answer: an object, or the events of a stream."""
        self._play = sent

    async def _answer(self, request: Request) -> Response:
        sent = self._play
        if isinstance(sent, dict):
            # The compatible route's client expects a list of one, which it unwrapped recording.
            body = orjson.dumps([sent] if request.url.path == "/" else sent)
            return Response(body, media_type="application/json")
        frames = [b"data: " + orjson.dumps(item) + b"\n\n" for item in sent]
        return StreamingResponse(
            iter([*frames, b"data: [DONE]\n\n"]), media_type="text/event-stream"
        )


def _as_sent(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_sent(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _as_sent(item) for key, item in value.items() if item is not None or key not in _ADDED
    }
    if "role" in kept and kept.get("name", ...) is None:
        del kept["name"]
    if "message" in kept:  # the text-generation client put a `usage` into each choice
        kept.pop("usage", None)
    if kept.get("object") == "text_completion" and kept.get("usage", ...) is None:
        del kept["usage"]
    return kept
