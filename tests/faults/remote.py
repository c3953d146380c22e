"""A server that tools have effects on: a real one, which counts them."""

from __future__ import annotations

import json
import threading
from collections import Counter

from tests.listener import Answer, Listener, Request


class Remote(Listener):
    """Takes POSTs to /pay, once for each Idempotency-Key, and to /mail, each of them anew."""

    def __init__(self) -> None:
        super().__init__()
        self.effects: Counter[str] = Counter()  # by word
        self.requests: Counter[str] = Counter()
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    def take(self, request: Request) -> Answer:
        """Let the effect happen, and count."""
        word = json.loads(request.body)["word"]
        key = request.headers["idempotency-key"]
        with self._lock:
            self.requests[word] += 1
            if request.path != "/pay" or key not in self._keys:
                self.effects[word] += 1
            if request.path == "/pay":
                self._keys.add(key)
        return Answer(body=b"{}")
