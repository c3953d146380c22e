"""What every request passes on its way in and out.

One raw ASGI layer: a request id, the limit of the body, the names we answer to, headers
that cost nothing, and an answer to errors that nobody expected. It buffers nothing, so
streams pass through it as they are.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
import uuid
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer, unexpected
from core.errors import BodyTooLarge, HostRefused, ParleyError
from core.logs import request_id as logged_request_id

SECURITY_HEADERS: Mapping[bytes, bytes] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
LOGGED_PATH_CHARACTERS = 200
UPLOADS = "/v1/documents/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
log = logging.getLogger(__name__)


class Edge:
    """The outermost layer of the application."""

    def __init__(
        self, app: ASGIApp, *, max_body_bytes: int, max_upload_bytes: int | None = None
    ) -> None:
        """max_upload_bytes: of a document's body; without it, uploads are like the others."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_upload_bytes = max_upload_bytes or max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request_id = name_request(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        logged_request_id.set(request_id)
        began = time.perf_counter()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = dress(message.get("headers", []), request_id)
            await send(message)

        try:
            most = self._most(scope["method"], scope["path"])
            if (refusal := self._refusal(scope["method"], headers, most)) is not None:
                await answer(scope["path"], request_id, refusal)(scope, receive, send_on)
            else:
                await self._app(scope, self._limited(receive, most), send_on)
        except Exception:
            if status:
                raise  # too late for an answer: the server logs it and cuts the connection
            log.exception(
                "unexpected error", extra={"path": scope["path"][:LOGGED_PATH_CHARACTERS]}
            )
            await unexpected(scope["path"], request_id)(scope, receive, send_on)
        finally:
            log.log(
                logging.DEBUG if status < 400 else logging.INFO,
                "request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"][:LOGGED_PATH_CHARACTERS],
                    "status": status,
                    "ms": round((time.perf_counter() - began) * 1000, 1),
                },
            )

    def _most(self, method: str, path: str) -> int:
        """Return how many bytes the body of a request may have."""
        upload = method == "PUT" and path.startswith(UPLOADS)
        return self._max_upload_bytes if upload else self._max_body_bytes

    def _refusal(
        self, method: str, headers: Mapping[bytes, bytes], most: int
    ) -> ParleyError | None:
        if not is_ours(headers.get(b"host", b"")):
            # Otherwise any web page could rebind its own name to 127.0.0.1 and read along.
            return HostRefused()
        if headers.get(b"sec-fetch-site") == b"cross-site" and method not in SAFE_METHODS:
            return HostRefused("Web pages of other sites may not change anything here.")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > most:
            return _too_large(most)
        return None

    def _limited(self, receive: Receive, most: int) -> Receive:
        """Return `receive` that raises BodyTooLarge for a body without an honest length."""
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    raise _too_large(most)
            return message

        return limited


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The request is larger than {most} bytes.")


def name_request(headers: Mapping[bytes, bytes]) -> str:
    """Return the caller's request id when it is sane, else a new one."""
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"


def dress(headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    """Return `headers` with the request id and the security headers that are not set yet."""
    present = {name.lower() for name, _ in headers}
    added = [pair for pair in SECURITY_HEADERS.items() if pair[0] not in present]
    return [*headers, (b"x-request-id", request_id.encode()), *added]


def is_ours(host: bytes) -> bool:
    """Return whether a Host header names this machine; an absent one does."""
    name = host.decode("latin-1").lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name in {"", "localhost"} or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
