"""Bodies are read strictly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import Field

from api import errors
from api.bodies import Body, JsonRoute, Metadata, Title, metadata
from api.edge import Edge
from core.errors import InvalidInput


class Note(Body):
    title: Title = ""
    metadata: Metadata = Field(default_factory=dict)
    count: int = 0


async def echo(body: Note) -> Note:
    return body


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    errors.install(app)
    router = APIRouter(route_class=JsonRoute)
    router.add_api_route("/notes", echo, methods=["POST"])
    app.include_router(router)
    transport = httpx.ASGITransport(Edge(app, max_body_bytes=100_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


JSON = {"content-type": "application/json"}


async def test_json_comes_through(client: httpx.AsyncClient) -> None:
    """A body of the right kind is what the route gets."""
    note = {"title": "Grüße 🌊", "metadata": {"a": [1, {"b": None}]}, "count": 2}
    for media_type in ("application/json", "application/json; charset=utf-8", "application/x+json"):
        answer = await client.post("/notes", json=note, headers={"content-type": media_type})
        assert answer.json() == note


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_another_media_type_is_a_415(client: httpx.AsyncClient, media_type: str) -> None:
    """A form or plain text, which any web page may send, is not read as JSON."""
    answer = await client.post("/notes", content=b"{}", headers={"content-type": media_type})
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "media_type_refused"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"title": "\\ud800"}',
        b'{"title": "\xed\xa0\x80"}',
        b'{"title": "\\u0000"}',
        b'{"title": 5}',
        b'{"title": null}',
        b'{"count": "5"}',
        b'{"count": 1e400}',
        b'{"count": NaN}',
        b'{"count": 99999999999999999999999999999}',
        b'{"metadata": {"a": "\\u0000"}}',
        b'{"metadata": {"\\u0000": 1}}',
        b'{"metadata": []}',
        b'{"title": "' + b"x" * 201 + b'"}',
        b"[" * 50_000,
        b'{"metadata": ' + b'{"a":' * 9 + b"1" + b"}" * 9 + b"}",
        b'{"metadata": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
        b'{"metadata": {"a": "' + b"x" * 20_000 + b'"}}',
    ],
    ids=lambda content: repr(content[:32]),
)
async def test_row_23_what_cannot_be_stored_is_a_422(
    client: httpx.AsyncClient, content: bytes
) -> None:
    """Everything wrong with a body is told in our shape, and never a 500."""
    answer = await client.post("/notes", content=content, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid_input"


async def test_an_unknown_field_is_refused(client: httpx.AsyncClient) -> None:
    """A misspelled field is an error, not a surprise."""
    answer = await client.post("/notes", json={"titel": "x"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_parameter"
    assert answer.json()["error"]["param"] == "titel"


async def test_row_23_a_body_over_the_limit_is_a_413(client: httpx.AsyncClient) -> None:
    """Also when its length is not announced, the refusal reaches the caller in our shape."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 1000

    answer = await client.post("/notes", content=chunks(), headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("values", [{"a": "\ud800"}, {"a": ["x\x00"]}, {"\ud800": 1}])
def test_metadata_holds_only_what_postgres_can_store(values: dict[str, Any]) -> None:
    """NUL and lone surrogates are found in keys and in the depths."""
    with pytest.raises(InvalidInput):
        metadata(values)
