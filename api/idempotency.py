"""Idempotency keys: the same request twice is one run."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Header, Request
from pydantic import BaseModel

from db.keys import RequestKey

KeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",  # visible ASCII
        description="Yours, 1 to 255 visible characters. The same request with the same key "
        "begins no second run, for a day at least.",
    ),
]


def request_key(key: str | None, request: Request, body: BaseModel) -> RequestKey | None:
    """Return the key of a request with what tells it from others; None without a key.

    How long to wait for the answer (the query) is no part of what was asked for.
    """
    if key is None:
        return None
    said = "\n".join((request.method, request.url.path, body.model_dump_json()))
    return RequestKey(key, hashlib.sha256(said.encode()).hexdigest())
