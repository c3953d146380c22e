"""From arguments to a request: every value in its place, and unable to leave it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from tools.http.openapi import BODY, Operation
from tools.tool import Arguments, TryDifferently

HEADER = re.compile(r"[\x20-\x7e]*")
SEGMENTS = re.compile(r"[/\\]")


def request(
    operation: Operation, base: httpx.URL, arguments: Arguments, headers: Mapping[str, str]
) -> httpx.Request:
    """Return the request that calls an operation; raises TryDifferently.

    base: address of the service; what an operation's path says is below it.
    """
    path, own = operation.path, dict(headers)
    query: list[tuple[str, str | int | float | bool | None]] = []
    for parameter in operation.parameters:
        if arguments.get(parameter.name) is None:
            if parameter.place == "path":
                raise TryDifferently(f"{parameter.name} is needed.")
            continue
        written = _written(parameter.name, arguments[parameter.name])
        if parameter.place == "path":
            path = path.replace(f"{{{parameter.name}}}", _segment(parameter.name, written))
        elif parameter.place == "header":
            own[parameter.name] = _header(parameter.name, written)
        elif parameter.repeated:
            query += [(parameter.name, one) for one in written]
        else:
            query.append((parameter.name, ",".join(written)))
    content = None
    if operation.media_type is not None and BODY in arguments:
        content = json.dumps(arguments[BODY], ensure_ascii=False).encode("utf-8", "replace")
        own["Content-Type"] = operation.media_type
    raw = f"{base.raw_path.decode('ascii').rstrip('/')}{path}"
    url = base.copy_with(raw_path=raw.encode("ascii"))
    return httpx.Request(
        operation.method,
        url.copy_merge_params(query) if query else url,
        headers=own,
        content=content,
    )


def _written(name: str, value: Any) -> list[str]:
    """Return a scalar, or each of a list, as text."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) or one is None for one in values):
        raise TryDifferently(f"{name} can hold text, numbers and lists of them only.")
    return [one if isinstance(one, str) else json.dumps(one) for one in values]


def _segment(name: str, written: list[str]) -> str:
    """Return values as one segment of a path, which cannot become another path on the way."""
    for value in written or [""]:
        if not value or {".", ".."} & set(SEGMENTS.split(value)):
            raise TryDifferently(f"{name} may not be {value[:80]!r}.")
    return ",".join(quote(value.encode("utf-8", "replace"), safe="") for value in written)


def _header(name: str, written: list[str]) -> str:
    value = ",".join(written)
    if not HEADER.fullmatch(value):
        raise TryDifferently(f"{name} may hold printable ASCII only.")
    return value
