"""Serves the application on a socket until a signal asks for an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, TypeVar

import uvicorn

from api.app import create_app
from api.build import Services
from api.sse import Streams
from core.cancel import beside

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GOODBYE_SECONDS = 5.0  # for clients to take the last frame, after the runs had their time


class Server(uvicorn.Server):
    """uvicorn, with our signals and with time for the runs before it ends."""

    def __init__(self, services: Services) -> None:
        app = create_app(services)
        self._services = services
        self._streams: Streams = app.state.streams
        seconds = services.settings.api.drain_seconds
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=round(seconds + GOODBYE_SECONDS),
            )
        )

    def stop(self) -> None:
        """End in order; asked again, end at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    def end_with(self, task: asyncio.Task[None]) -> None:
        """End in order when `task` has failed."""
        if not task.cancelled() and task.exception() is not None:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, let the runs end, then the streams, then the rest."""
        async with beside(self._drain()):
            await super().shutdown(sockets)

    async def _drain(self) -> None:
        if self._services.worker is not None:
            self._services.worker.stop()  # its jobs have as long as the runs; others go on
        await self._services.runner.drain(self._services.settings.api.drain_seconds)
        self._streams.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to `run`: uvicorn would raise them again at the end."""
        yield


async def serve(
    services: Services, listener: socket.socket, meanwhile: Coroutine[Any, Any, None]
) -> None:
    """Serve until a signal asks for the end; `meanwhile` runs beside it and ends with it.

    Raises what `meanwhile` raises, after an orderly end.
    """
    server = Server(services)
    with on_signals(server.stop):
        async with beside(meanwhile) as other:
            other.add_done_callback(server.end_with)
            await server.serve(sockets=[listener])
    if not other.cancelled():
        other.result()


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on the fastest event loop there is; a signal cancels it.

    Raises KeyboardInterrupt when it was stopped before it came to an end of its own.
    """

    async def interruptible() -> T:
        task = asyncio.ensure_future(main())
        with on_signals(task.cancel):
            return await task

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(interruptible())
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error


@contextlib.contextmanager
def on_signals(act: Callable[[], object]) -> Iterator[None]:
    """Call `act` at SIGINT and SIGTERM instead of whatever happened before."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C raises KeyboardInterrupt
        for number in SIGNALS:
            loop.add_signal_handler(number, act)
    yield


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return asyncio.SelectorEventLoop  # psycopg needs it
    import uvloop

    return uvloop.new_event_loop
