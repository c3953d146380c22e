"""A server that tools have effects on: a real one, which counts them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Remote:
    """Takes POSTs to /pay, once for each Idempotency-Key, and to /mail, each of them anew."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()  # by word
        self.requests: Counter[str] = Counter()
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _take(self, path: str, word: str, key: str) -> None:
        with self._lock:
            self.requests[word] += 1
            if path == "/pay":
                if key in self._keys:
                    return
                self._keys.add(key)
            self.effects[word] += 1

    def _handler(remote: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                sent = self.rfile.read(size)
                if len(sent) < size:
                    return  # who asked has died in the middle of it
                body = json.loads(sent)
                remote._take(self.path, body["word"], self.headers["Idempotency-Key"])
                # Who asked may be dead by now.
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler
