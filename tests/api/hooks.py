"""A stand-in for an operator's server: takes notices over HTTP and answers as it is told."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Told:
    """A notice as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # or connections that come together are refused


class Hook:
    """The server; `with` runs it. Answers with each status once, then 204; None: not at all."""

    def __init__(self, *statuses: int | None) -> None:
        self.told: queue.Queue[Told] = queue.Queue()
        self._statuses = list(statuses)
        self._released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def all(self) -> list[Told]:
        """Return what has arrived so far."""
        return list(self.told.queue)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                status = hook._statuses.pop(0) if hook._statuses else 204
                hook.told.put(Told(headers, body))
                if status is None:
                    hook._released.wait()
                    return
                self.send_response(status)
                self.send_header("Location", hook.url)
                self.end_headers()
                self.wfile.write(b"secret words of the receiver" if status != 204 else b"")

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler
