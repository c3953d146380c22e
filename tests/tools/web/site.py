"""A web site on loopback that answers byte for byte as it is told, and remembers who asked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tools.web.addresses import Guard

Answer = Callable[[str], bytes | Iterable[bytes] | Awaitable[bytes]]  # to a path


@dataclass
class Site:
    """A server that is running."""

    port: int = 0
    connections: int = 0
    requests: list[str] = field(default_factory=list)  # heads
    bodies: list[bytes] = field(default_factory=list)
    sent_bytes: int = 0

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def guard(self, *addresses: str) -> Guard:
        """Return a guard for which loopback is the public internet, and this port the web's."""

        async def resolve(host: str, port: int) -> Sequence[str]:
            return addresses or ["127.0.0.1"]

        return Guard(resolve, {"127.0.0.1"}.__contains__, frozenset({self.port}))


def page(
    body: bytes,
    kind: str = "text/html",
    *headers: str,
    status: str = "200 OK",
) -> bytes:
    """Return an answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    """Return an answer that sends elsewhere."""
    return page(b"", "", f"Location: {to}", status=status)


@asynccontextmanager
async def site(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serve what `answer` returns for a path; an iterable is sent piece by piece."""
    found = Site()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        try:
            await exchange(reader, writer)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            found.requests.append(head)
            length = next(
                (line[15:] for line in head.lower().splitlines() if line[:15] == "content-length:"),
                "0",
            )
            found.bodies.append(await reader.readexactly(int(length)))
            given = answer(head.split(" ", 2)[1])
            if isinstance(given, Awaitable):
                given = await given
            for piece in [given] if isinstance(given, bytes) else given:
                writer.write(piece)
                await writer.drain()
                found.sent_bytes += len(piece)

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in (rest := list(serving)):
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)  # the loop closes sockets after their tasks
