"""TGI's recorded answers, known by their shape, and a server that gives them again."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
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


class Kind(StrEnum):
    """What an object was sent as."""

    CHAT = "whole chat answer"
    CHAT_STREAM = "event of a chat stream"
    COMPLETION = "whole completion"
    COMPLETION_STREAM = "event of a completion stream"
    GENERATED = "answer of /generate"
    GENERATED_STREAM = "event of /generate_stream"
    ERROR = "error"
    UNKNOWN = "unknown"


STREAMS = {Kind.CHAT_STREAM, Kind.COMPLETION_STREAM, Kind.GENERATED_STREAM}


class Recording(NamedTuple):
    """One file: an answer, answers to parallel requests, or the events of one stream."""

    file: str  # inside its folder
    kind: Kind
    objects: list[dict[str, Any]]  # as TGI sent them


def load(folder: Path) -> list[Recording]:
    """Return every recording under a folder, by file name; the manifest is not needed."""
    recordings = []
    for path in sorted(folder.rglob("*.json")):
        if path.name == "MANIFEST.json":
            continue
        objects = [_as_sent(item) for item in _objects(orjson.loads(path.read_bytes()))]
        if objects:  # a file of text alone is no answer
            name = path.relative_to(folder).as_posix()
            recordings.append(Recording(name, recognise(objects), objects))
    return recordings


def recognise(objects: list[dict[str, Any]]) -> Kind:
    """Return what all these objects are; UNKNOWN when they are not all of one kind."""
    # An event without choices has the usage of a stream whose other events say which.
    kinds = {_kind(item) for item in objects if item.get("choices") != []}
    kind = kinds.pop() if len(kinds) == 1 else Kind.UNKNOWN
    if kind is Kind.COMPLETION and any(
        not choice["finish_reason"] for item in objects for choice in item["choices"]
    ):
        return Kind.COMPLETION_STREAM  # only an event may leave open how it ends
    return kind


class Player:
    """A server that answers every POST to its route with what it was told to play."""

    def __init__(self, route: str) -> None:
        self.app = Starlette(routes=[Route(route, self._answer, methods=["POST"])])
        self._play: dict[str, Any] | list[dict[str, Any]] = {}
        self._done = True

    def play(self, sent: dict[str, Any] | list[dict[str, Any]], *, done: bool = True) -> None:
        """Set the answer: an object, or the events of a stream; `done` ends it with [DONE]."""
        self._play, self._done = sent, done

    async def _answer(self, request: Request) -> Response:
        sent = self._play
        if isinstance(sent, dict):
            # The compatible route's client expects a list of one, which it unwrapped recording.
            body = orjson.dumps([sent] if request.url.path == "/" else sent)
            return Response(body, media_type="application/json")
        frames = [b"data: " + orjson.dumps(item) + b"\n\n" for item in sent]
        end = [b"data: [DONE]\n\n"] if self._done else []
        return StreamingResponse(iter([*frames, *end]), media_type="text/event-stream")


def _objects(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, dict):
        yield data
    for item in data if isinstance(data, list) else ():
        yield from _objects(item)


def _kind(item: dict[str, Any]) -> Kind:
    if "choices" in item:
        first = item["choices"][0]
        for key, kind in (
            ("delta", Kind.CHAT_STREAM),
            ("message", Kind.CHAT),
            ("text", Kind.COMPLETION),
        ):
            if key in first:
                return kind
    if "token" in item:
        return Kind.GENERATED_STREAM
    if "generated_text" in item:
        return Kind.GENERATED
    return Kind.ERROR if "error" in item else Kind.UNKNOWN


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
