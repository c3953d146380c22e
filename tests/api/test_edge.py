"""What every request passes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.edge import Edge


async def toy(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    if scope["path"] == "/bug":
        raise RuntimeError("the user wrote: my secret")
    body = await request.body()
    await PlainTextResponse(f"{len(body)} {request.state.request_id}")(scope, receive, send)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Edge(toy, max_body_bytes=1024))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as opened:
        yield opened


async def test_every_answer_has_a_request_id(client: httpx.AsyncClient) -> None:
    """The id in the header is the one that the application sees."""
    answer = await client.get("/")
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.text == f"0 {answer.headers['x-request-id']}"


async def test_a_sane_request_id_is_kept(client: httpx.AsyncClient) -> None:
    """A proxy's id goes through to the answer and the log."""
    answer = await client.get("/", headers={"x-request-id": "abc-123.7"})
    assert answer.headers["x-request-id"] == "abc-123.7"


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"<script>", b'a"b', "ä".encode()])
async def test_a_strange_request_id_is_replaced(client: httpx.AsyncClient, given: bytes) -> None:
    """Nothing that could forge a log line or a page is taken over."""
    answer = await client.get("/", headers={b"x-request-id": given})
    assert answer.headers["x-request-id"].startswith("req_")


async def test_security_headers_are_on_every_answer(client: httpx.AsyncClient) -> None:
    """They cost nothing, so errors carry them too."""
    for path in ("/", "/bug"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"


async def test_a_body_at_the_limit_passes_and_one_above_does_not(
    client: httpx.AsyncClient,
) -> None:
    """The limit counts bytes, and 413 is in our shape."""
    assert (await client.post("/", content=b"x" * 1024)).status_code == 200
    answer = await client.post("/", content=b"x" * 1025)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


async def test_a_body_without_a_length_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Chunked encoding does not get around the limit."""
    seen: list[str] = []

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await Request(scope, receive).body()
        except Exception as error:
            seen.append(type(error).__name__)
            raise

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    transport = httpx.ASGITransport(Edge(reading, max_body_bytes=1024))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.post("/", content=endless())
    assert seen == ["BodyTooLarge"]


async def test_a_bug_is_a_500_with_its_id_and_nothing_else(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns an id; the log knows where it happened."""
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/bug", headers={"x-request-id": "find-me"})
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "internal_error",
            "message": "Something went wrong here; the log knows more under this request id.",
            "hint": None,
            "request_id": "find-me",
        }
    }
    assert "secret" not in answer.text
    assert [record.message for record in caplog.records] == ["unexpected error"]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9", "parley.localhost"]
)
async def test_it_answers_to_names_of_this_machine(client: httpx.AsyncClient, host: str) -> None:
    """Loopback addresses and localhost, with any port."""
    assert (await client.get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.4", "localhost.evil.example"]
)
async def test_it_refuses_other_names(client: httpx.AsyncClient, host: str) -> None:
    """A web page cannot rebind its own name to this machine and read along."""
    answer = await client.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "host_refused"


async def test_pages_of_other_sites_may_not_post(client: httpx.AsyncClient) -> None:
    """A browser says where a request comes from; a foreign page changes nothing here."""
    headers = {"sec-fetch-site": "cross-site"}
    assert (await client.post("/", headers=headers)).status_code == 403
    assert (await client.get("/", headers=headers)).status_code == 200
    assert (await client.post("/", headers={"sec-fetch-site": "same-origin"})).status_code == 200
