"""Server-sent events as a raw ASGI response.

One task reads the source into a bounded buffer, one writes whatever is ready in a single
piece. The stream watches over its client, never over the run behind it: a client that leaves
or stops reading loses the stream, and can have it back with `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.errors import ParleyError, ServerStopping
from core.events import Event

T = TypeVar("T")

PING = b": ping\n\n"
RETRY = b"retry: 1000\n\n"  # ms; the browser's own default is three seconds
RECONNECT = b"event: reconnect\ndata: {}\n\n"
GATHER_SECONDS = 0.01  # what comes within it goes out in one write; models write more slowly
BUFFER_BYTES = 256 * 1024
SEND_TIMEOUT_SECONDS = 30.0
HEADERS: Mapping[str, str] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}
log = logging.getLogger(__name__)


def frame(event: Event) -> bytes:
    """Return `event` as it goes over the wire: id, event, data."""
    head = f"id: {event.seq}\nevent: {event.type}\ndata: ".encode()
    return head + orjson.dumps(event.data) + b"\n\n"


class Streams:
    """The open streams of this process, so that they can be told to end."""

    def __init__(
        self, *, heartbeat_seconds: float, send_timeout_seconds: float = SEND_TIMEOUT_SECONDS
    ) -> None:
        self.heartbeat_seconds = heartbeat_seconds
        self.send_timeout_seconds = send_timeout_seconds
        self._open: set[EventStream] = set()
        self._closed = asyncio.Event()

    def response(
        self,
        frames: AsyncGenerator[bytes, None],
        *,
        goodbye: bytes = RECONNECT,
        opening: bytes = RETRY,
        headers: Mapping[str, str] | None = None,
    ) -> EventStream:
        """Return a response that sends `opening`, then `frames`.

        goodbye: the last frame when the server stops, or the source breaks, before its end.
        """
        return EventStream(self, frames, goodbye=goodbye, opening=opening, headers=headers)

    def close(self) -> None:
        """End every stream, those that open later too."""
        self._closed.set()
        for stream in self._open:
            stream.end()

    async def unless_closed(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`; raises ServerStopping when the streams close before it."""
        working = asyncio.create_task(work)
        closed = asyncio.create_task(self._closed.wait())
        try:
            await asyncio.wait((working, closed), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ServerStopping
            return working.result()
        finally:
            working.cancel()
            closed.cancel()
            await asyncio.wait((working, closed))

    @contextmanager
    def holding(self, stream: EventStream) -> Iterator[None]:
        """Count `stream` among the open ones."""
        self._open.add(stream)
        if self._closed.is_set():
            stream.end()
        try:
            yield
        finally:
            self._open.discard(stream)


class EventStream(Response):
    """Sends frames as they come; whatever is ready goes out in one write."""

    media_type = None

    def __init__(
        self,
        streams: Streams,
        frames: AsyncGenerator[bytes, None],
        *,
        goodbye: bytes,
        opening: bytes,
        headers: Mapping[str, str] | None,
    ) -> None:
        super().__init__(headers={**HEADERS, **(headers or {})})
        del self.headers["content-length"]
        self._streams = streams
        self._frames = frames
        self._goodbye = goodbye
        self._buffer = [opening] if opening else []
        self._size = 0  # bytes in the buffer
        self._wake = asyncio.Event()  # something changed: look
        self._over = asyncio.Event()  # nothing more will come, or nobody is there to read it
        self._room = asyncio.Event()  # the buffer was emptied
        self._ended = False  # the source said its last word
        self._closing = False  # we stop before that
        self._gone = False  # the client left

    def end(self) -> None:
        """Say goodbye to the client as soon as possible."""
        self._closing = True
        self._finish()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the source ends, the client leaves, or the server stops."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        reader = asyncio.create_task(self._read())
        watcher = asyncio.create_task(self._watch(receive))
        try:
            with self._streams.holding(self):
                await send(start)
                await self._write(send)
        except TimeoutError:
            log.info("a client reads too slowly and lost its stream")
        finally:
            reader.cancel()
            watcher.cancel()
            await asyncio.gather(reader, watcher, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        began = False  # the first events go out at once, later ones wait for their neighbours
        while not self._gone:
            self._wake.clear()
            last = self._ended or self._closing
            chunk = b"".join(self._buffer)
            self._buffer.clear()
            self._size = 0
            self._room.set()
            if last and not self._ended:
                chunk += self._goodbye
            if chunk or last:
                async with asyncio.timeout(self._streams.send_timeout_seconds):
                    await send({"type": "http.response.body", "body": chunk, "more_body": not last})
            if last:
                return
            if not await _within(self._streams.heartbeat_seconds, self._wake):
                self._buffer.append(PING)
            elif began:
                await _within(GATHER_SECONDS, self._over)
            began = True

    async def _read(self) -> None:
        try:
            async with aclosing(self._frames) as frames:
                async for piece in frames:
                    self._buffer.append(piece)
                    self._size += len(piece)
                    self._wake.set()
                    if self._size > BUFFER_BYTES:
                        self._room.clear()
                        await self._room.wait()
            self._ended = True
        except ParleyError as error:
            log.warning("a stream broke off", extra={"code": error.code})
            self._closing = True
        except Exception:
            log.exception("a stream broke off")
            self._closing = True
        finally:
            self._finish()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._finish()

    def _finish(self) -> None:
        self._wake.set()
        self._over.set()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Return whether `event` is set by the end of so many seconds; wait no longer than needed."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
