"""HTTP to a model server: one pooled client, three timeouts, every failure named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx
import orjson

from core.errors import ModelError, ModelOverloaded, ModelTimeout, ModelUnavailable, StreamCut
from core.settings import ModelSettings
from tgi.failures import from_status

DONE: Final[dict[str, Any]] = {}  # stands for `data: [DONE]`
_STALE = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
ALIVE_SECONDS = 1.0
_HINT = "Check MODEL_URL, and that the server runs."


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait for a model server, in seconds."""

    connect: float = 5.0
    first_token: float = 60.0  # from the request to the first token, or to a whole answer
    idle: float = 30.0  # between two tokens
    total: float = 120.0  # from the request to the end of the answer

    @classmethod
    def of(cls, settings: ModelSettings) -> Timeouts:
        """Return what the settings say."""
        return cls(
            connect=settings.connect_timeout_seconds,
            first_token=settings.first_token_timeout_seconds,
            idle=settings.idle_timeout_seconds,
            total=settings.total_timeout_seconds,
        )


def pool(url: str, timeouts: Timeouts) -> httpx.AsyncClient:
    """Return an HTTP client for the model server at `url`; the caller closes it.

    It has room for more than TGI's default of 128 requests at a time.
    A server on this machine is never asked through a proxy from the environment.
    """
    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeouts.connect, read=None),
        limits=httpx.Limits(max_connections=256, max_keepalive_connections=32),
        trust_env=httpx.URL(url).host not in {"127.0.0.1", "localhost", "::1"},
    )


class Server(Protocol):
    """What a chat model asks: one server, or several as one."""

    async def get(self, path: str) -> Any:
        """Return the JSON at a path, or None when there is no such path."""

    async def post(self, path: str, payload: dict[str, Any], *, seconds: float) -> Any:
        """Return the JSON that a path answers to a payload, or None as above."""

    async def ask(self, payload: dict[str, Any]) -> Any:
        """Return a whole chat completion."""

    def stream(self, payload: dict[str, Any]) -> AsyncGenerator[list[dict[str, Any]]]:
        """Yield the frames of a chat stream."""


class Client:
    """The routes of one model server.

    Raises ModelUnavailable, ModelOverloaded, ModelTimeout, ModelRejected, and StreamCut once
    an answer has begun.
    """

    def __init__(
        self, http: httpx.AsyncClient, url: str, *, api_key: str | None, timeouts: Timeouts
    ) -> None:
        self._http = http
        self._url = url.rstrip("/").removesuffix("/v1")
        self._timeouts = timeouts
        # A compressed stream would be held back until a block is full.
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"

    async def get(self, path: str) -> Any:
        """Return the JSON at a path, or None when the server has no such path."""
        deadline = self._deadline(self._timeouts.connect)
        response = await self._send("GET", path, None, deadline)
        try:
            if response.status_code == 404:
                return None
            return await self._json(response, deadline)
        finally:
            await response.aclose()

    async def is_alive(self) -> bool:
        """Return whether the server says that it is well, within a second.

        A server without a route for that is well when it answers at all.
        """
        try:
            response = await self._send("GET", "/health", None, self._deadline(ALIVE_SECONDS))
        except ModelError:
            return False
        await response.aclose()
        return response.status_code < 500

    async def ask(self, payload: dict[str, Any]) -> Any:
        """Return a whole chat completion."""
        deadline = self._deadline(self._timeouts.first_token)
        response = await self._send("POST", "/v1/chat/completions", payload, deadline)
        try:
            return await self._json(response, deadline)
        finally:
            await response.aclose()

    async def post(self, path: str, payload: dict[str, Any], *, seconds: float) -> Any:
        """Return the JSON that a path answers with, or None when the server has no such path.

        seconds: for the whole exchange.
        """
        deadline = self._deadline(seconds)
        response = await self._send("POST", path, payload, deadline)
        try:
            if response.status_code in {404, 405}:
                return None
            return await self._json(response, deadline)
        finally:
            await response.aclose()

    async def stream(self, payload: dict[str, Any]) -> AsyncGenerator[list[dict[str, Any]]]:
        """Yield the frames of a chat stream: in each list those that arrived together.

        DONE stands for the closing mark. Close the generator, or cancel its task,
        and the connection closes at once.
        """
        last = self._deadline(self._timeouts.total)
        deadline, what = self._sooner(last, self._timeouts.first_token, "a first token")
        response = await self._send("POST", "/v1/chat/completions", payload, deadline)
        try:
            if response.status_code != 200:
                raise from_status(response.status_code, await self._body(response, deadline))
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise ModelUnavailable(f"The model server sent {kind or 'nothing'}, no stream.")
            lines = Lines()
            chunks = response.aiter_bytes()
            while (chunk := await self._next(chunks, deadline, what)) is not None:
                if frames := [_frame(data) for data in lines.feed(chunk)]:
                    yield frames
                    # Comments keep a connection alive; they do not keep us waiting.
                    deadline, what = self._sooner(last, self._timeouts.idle, "another token")
        finally:
            await response.aclose()

    async def _next(self, chunks: AsyncIterator[bytes], deadline: float, what: str) -> bytes | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(chunks, None)
        except TimeoutError as error:
            raise ModelTimeout(f"The model server did not send {what}.") from error
        except httpx.HTTPError as error:
            raise StreamCut from error

    async def _send(
        self, method: str, path: str, payload: dict[str, Any] | None, deadline: float
    ) -> httpx.Response:
        """Return the answer's head. A kept connection that had died is replaced once."""
        body = None if payload is None else orjson.dumps(payload)
        url = self._url + path
        try:
            request = self._http.build_request(method, url, content=body, headers=self._headers)
            async with asyncio.timeout_at(deadline):
                try:
                    return await self._http.send(request, stream=True)
                except _STALE:
                    return await self._http.send(request, stream=True)
        except TimeoutError as error:
            raise ModelTimeout("The model server did not answer in time.") from error
        except httpx.ConnectTimeout as error:
            raise ModelTimeout("The model server did not take the connection in time.") from error
        except httpx.PoolTimeout as error:
            raise ModelOverloaded("All connections to the model server are busy.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelUnavailable(hint=_HINT) from error

    async def _json(self, response: httpx.Response, deadline: float) -> Any:
        body = await self._body(response, deadline)
        if response.status_code != 200:
            raise from_status(response.status_code, body)
        try:
            return _loads(body)
        except ValueError as error:
            raise ModelUnavailable("The model server sent something that is no JSON.") from error

    async def _body(self, response: httpx.Response, deadline: float) -> bytes:
        try:
            async with asyncio.timeout_at(deadline):
                return await response.aread()
        except TimeoutError as error:
            raise ModelTimeout("The model server did not finish its answer in time.") from error
        except httpx.HTTPError as error:
            raise StreamCut from error

    def _sooner(self, last: float, seconds: float, what: str) -> tuple[float, str]:
        """Return until when to wait for what, and how to say that it did not come."""
        until = self._deadline(seconds)
        if last < until:
            return last, f"the end of its answer within {self._timeouts.total:g} s"
        return until, f"{what} within {seconds:g} s"

    @staticmethod
    def _deadline(seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds


class Lines:
    """The `data:` lines of a byte stream, wherever the network cuts it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the lines that are complete now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]


def _frame(data: bytes) -> dict[str, Any]:
    if data == b"[DONE]":
        return DONE
    try:
        frame = _loads(data)
    except ValueError as error:
        raise StreamCut("The model server sent a frame that is no JSON.") from error
    if not isinstance(frame, dict):
        raise StreamCut("The model server sent a frame that is no object.")
    return frame


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)  # takes lone surrogates, which `scrub` replaces later
