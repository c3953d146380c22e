"""Streams watch over their client, never over what they tell of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Message

from api.sse import BUFFER_BYTES, PING, RECONNECT, RETRY, Streams, frame
from core.errors import DatabaseUnavailable, ServerStopping
from core.events import Event


class Client:
    """An ASGI client that notes what it gets and can leave or stop reading."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.ended = False
        self.reads = asyncio.Event()
        self.reads.set()
        self.wrote = asyncio.Event()
        self._left = asyncio.Event()

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        await self.reads.wait()
        self.writes.append(message["body"])
        self.ended = not message["more_body"]
        self.wrote.set()

    @property
    def text(self) -> bytes:
        return b"".join(self.writes)


class Source:
    """Frames that a test hands out one by one; notes when it was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.closed = False
        self.taken_bytes = 0
        self.full = asyncio.Event()  # as many bytes were taken as a buffer holds

    async def frames(self) -> AsyncGenerator[bytes, None]:
        try:
            while (item := await self.queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                self.taken_bytes += len(item)
                if self.taken_bytes >= BUFFER_BYTES:
                    self.full.set()
                yield item
        finally:
            self.closed = True


async def run(streams: Streams, source: Source, client: Client) -> None:
    response = streams.response(source.frames())
    await response({"type": "http"}, client.receive, client.send)


def test_a_frame_has_id_event_and_data() -> None:
    """The id is the event's number, the data one line of JSON."""
    assert frame(Event(7, "token", {"text": "a\nb"})) == (
        b'id: 7\nevent: token\ndata: {"text":"a\\nb"}\n\n'
    )


async def test_what_is_ready_leaves_in_one_write() -> None:
    """Ten frames that are ready together cost one write, not ten."""
    source, client = Source(), Client()
    for number in range(10):
        source.queue.put_nowait(b"%d" % number)
    source.queue.put_nowait(None)
    await run(Streams(heartbeat_seconds=10), source, client)
    assert client.text == RETRY + b"0123456789"
    assert len(client.writes) <= 2
    assert client.ended


async def test_the_headers_keep_proxies_from_holding_events_back() -> None:
    """No buffering, no caching, no length."""
    source, client = Source(), Client()
    source.queue.put_nowait(None)
    await run(Streams(heartbeat_seconds=10), source, client)
    assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert client.headers["cache-control"] == "no-cache, no-transform"
    assert client.headers["x-accel-buffering"] == "no"
    assert "content-length" not in client.headers


async def test_silence_is_filled_with_pings() -> None:
    """A comment goes out when nothing happens, so that proxies keep the connection."""
    source, client = Source(), Client()
    task = asyncio.create_task(run(Streams(heartbeat_seconds=0.01), source, client))
    while client.text.count(PING) < 3:
        client.wrote.clear()
        await client.wrote.wait()
    source.queue.put_nowait(None)
    await task
    assert client.ended


async def test_a_client_that_leaves_ends_the_stream() -> None:
    """The source is closed at once and nothing more is written."""
    source, client = Source(), Client()
    task = asyncio.create_task(run(Streams(heartbeat_seconds=10), source, client))
    await client.wrote.wait()
    client.leave()
    await task
    assert source.closed
    assert client.text == RETRY


async def test_a_client_that_does_not_read_is_dropped() -> None:
    """The send timeout ends the stream; the buffer in between is bounded."""
    source, client = Source(), Client()
    client.reads.clear()
    piece = b"x" * 1000
    for _ in range(2 * BUFFER_BYTES // len(piece)):
        source.queue.put_nowait(piece)
    await run(Streams(heartbeat_seconds=10, send_timeout_seconds=0.05), source, client)
    assert source.closed
    assert source.taken_bytes <= BUFFER_BYTES + 2 * len(piece)
    assert not client.ended


async def test_a_slow_client_gets_everything() -> None:
    """A full buffer stops the source, not the stream."""
    source, client = Source(), Client()
    client.reads.clear()
    piece = b"x" * 1000
    count = 3 * BUFFER_BYTES // len(piece)
    for _ in range(count):
        source.queue.put_nowait(piece)
    source.queue.put_nowait(None)
    task = asyncio.create_task(run(Streams(heartbeat_seconds=10), source, client))
    await source.full.wait()
    client.reads.set()
    await task
    assert client.text == RETRY + piece * count


async def test_at_shutdown_clients_are_told_to_come_back() -> None:
    """Open streams end with `event: reconnect`, and so do those opened afterwards."""
    streams = Streams(heartbeat_seconds=10)
    early, late = Client(), Client()
    task = asyncio.create_task(run(streams, Source(), early))
    await early.wrote.wait()
    streams.close()
    await task
    await run(streams, Source(), late)
    for client in (early, late):
        assert client.text == RETRY + RECONNECT
        assert client.ended


async def test_who_waits_for_an_answer_is_told_that_the_server_stops() -> None:
    """A typed error instead of a connection that is cut."""
    streams = Streams(heartbeat_seconds=10)
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def forever() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(streams.unless_closed(forever()))
    await entered.wait()
    streams.close()
    with pytest.raises(ServerStopping):
        await waiting
    assert cancelled.is_set()


async def test_waiting_gives_the_result_or_the_error() -> None:
    """Nothing stands between the waiter and what it waits for."""
    streams = Streams(heartbeat_seconds=10)
    assert await streams.unless_closed(asyncio.sleep(0, "done")) == "done"

    async def fail() -> None:
        raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await streams.unless_closed(fail())


@pytest.mark.parametrize("error", [DatabaseUnavailable("down"), ValueError("a bug")])
async def test_a_source_that_breaks_sends_clients_back(error: Exception) -> None:
    """What was ready is sent, then the client is told to come back with its last id."""
    source, client = Source(), Client()
    source.queue.put_nowait(b"one")
    source.queue.put_nowait(error)
    await run(Streams(heartbeat_seconds=10), source, client)
    assert client.text == RETRY + b"one" + RECONNECT
