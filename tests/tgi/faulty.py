"""A server that misbehaves as told, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import orjson


class Exchange:
    """One request, and the bytes of its answer."""

    def __init__(
        self, path: str, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.path = path
        self.body = body
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Send a whole answer."""
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        await self.send(head.encode() + body)

    async def begin(self, kind: str = "text/event-stream") -> None:
        """Begin a stream."""
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        await self.send(head.encode())

    async def data(self, data: bytes) -> None:
        """Send a chunk of the stream."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def event(self, data: Any) -> None:
        """Send an event."""
        await self.data(b"data: " + orjson.dumps(data) + b"\n\n")

    async def token(self, text: str, finish: str | None = None) -> None:
        """Send a token of a chat stream."""
        delta = {"role": "assistant", "content": text}
        await self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    async def end(self) -> None:
        """End the stream as HTTP ends it, with or without [DONE] before."""
        await self.send(b"0\r\n\r\n")

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            await self._reader.read()


Behaviour: TypeAlias = Callable[[Exchange], Awaitable[None]]


@asynccontextmanager
async def faulty(behave: Behaviour) -> AsyncIterator[str]:
    """Serve every request with `behave`, then close its connection; gives the base URL."""

    handling: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                path = head.split(" ")[1]
                length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                await behave(Exchange(path, orjson.loads(body) if body else None, reader, writer))
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        unfinished = [task for task in handling if task is not None and not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
