"""An HTTP server of this process that keeps what it is told: the base of several stand-ins."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # or connections that come together are refused


class Listener:
    """Listens on loopback while its `with` lasts; a subclass says what it answers."""

    def __init__(self) -> None:
        self.released = threading.Event()  # at the end; who lets a client hang waits for it
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, request: Request) -> Answer | None:
        """Return the answer to a request; None closes the connection without one.

        Called in a thread for each connection.
        """
        raise NotImplementedError

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                self.close_connection = True  # unless all goes well
                if len(body) < size:
                    return  # who asked has died in the middle of it
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = listener.take(Request(self.command, self.path, headers, body))
                if answer is None:
                    return
                try:
                    self._send(answer)
                except OSError:
                    return  # who asked has died meanwhile
                self.close_connection = False

            do_GET = do_PUT = do_POST  # noqa: N815 - http.server's names

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler
