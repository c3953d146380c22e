"""JSON bodies, read strictly: valid UTF-8 JSON of the right media type, or a typed refusal."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict

from core.errors import InvalidInput, MediaTypeRefused
from core.text import storable

MAX_TITLE_CHARACTERS = 200
MAX_METADATA_BYTES = 16_384
MAX_METADATA_DEPTH = 8


class JsonRoute(APIRoute):
    """A route whose body is JSON and says so.

    Without the media type a web page of another site could post here unasked: browsers let
    `text/plain` and forms through without a preflight.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind our reading of the body."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return strict


class _JsonRequest(Request):
    async def body(self) -> bytes:
        content = await super().body()
        if content and not _is_json(self.headers.get("content-type", "")):
            raise MediaTypeRefused
        return content

    async def json(self) -> Any:
        try:
            return orjson.loads(await self.body())
        except orjson.JSONDecodeError as error:
            # orjson also refuses what Postgres could not store: lone surrogates, NaN, infinity.
            raise InvalidInput(f"The body is not valid JSON: {error}.") from error


class Body(BaseModel):
    """A request body; a field that we do not know is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


def title(text: str) -> str:
    """Return `text` when it can be a title; raises InvalidInput."""
    if len(text) > MAX_TITLE_CHARACTERS:
        raise InvalidInput(
            f"The title has {len(text)} characters; the limit is {MAX_TITLE_CHARACTERS}.",
            param="title",
        )
    return storable(text, what="title")


def metadata(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` when they can be stored as metadata; raises InvalidInput."""
    pending: list[tuple[Any, int]] = [(values, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_METADATA_DEPTH:
            raise InvalidInput("The metadata is nested too deeply.", param="metadata")
        if isinstance(value, str):
            storable(value, what="metadata")
        elif isinstance(value, dict):
            pending += [(key, depth) for key in value]
            pending += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            pending += [(inner, depth + 1) for inner in value]
    if (size := len(orjson.dumps(values))) > MAX_METADATA_BYTES:
        raise InvalidInput(
            f"The metadata has {size} bytes; the limit is {MAX_METADATA_BYTES}.", param="metadata"
        )
    return values


Title = Annotated[str, AfterValidator(title)]
Metadata = Annotated[dict[str, Any], AfterValidator(metadata)]


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
