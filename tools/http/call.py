"""`call_http`: each declared operation of a service is a tool.

The services are the operator's choice and may be private. Redirects are not followed: a token
would go along, and nobody declared where to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from core import files
from core.errors import RemoteUnavailable, RemoteUnreachable, SettingsInvalid
from tools.declared import Declared, full_name
from tools.http import openapi
from tools.http.openapi import Operation
from tools.http.request import request
from tools.http.services import Service, Services
from tools.tool import Arguments, Caller, Idempotency, Output, Tool, TryDifferently
from tools.web import body

VARIABLE = "TOOLS_HTTP_FILE"
SECONDS = 5.0  # that a call may take unless the file says otherwise
MOST_DESCRIPTION_CHARACTERS = 1000
MOST_REASON_CHARACTERS = 2000  # of what a server says about a call that it refuses
TEXT = ("text/", "application/json", "application/xml", "application/problem+json")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a service is called."""

    base: httpx.URL
    token: str | None


@asynccontextmanager
async def call_http(
    path: Path | None,
    environment: Mapping[str, str],
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncIterator[list[Tool]]:
    """Yield a tool named `service__operation` for each operation that a file declares.

    environment: where the tokens are.
    Raises SettingsInvalid for a file, a document or a token that is not as it should be.
    """
    if path is None:
        yield []
        return
    file = await asyncio.to_thread(files.read, path, Services, VARIABLE)
    async with transport or httpx.AsyncHTTPTransport(trust_env=False) as opened:
        tools: list[Tool] = []
        for service in file.services:
            try:
                tools += await asyncio.to_thread(_tools, service, path.parent, environment, opened)
            except (ValueError, httpx.InvalidURL) as error:
                raise SettingsInvalid(f"{VARIABLE}: {service.name}: {error}") from error
        yield tools


def _tools(
    service: Service,
    folder: Path,
    environment: Mapping[str, str],
    transport: httpx.AsyncBaseTransport,
) -> list[Tool]:
    document = files.parse(folder / service.document)
    found = list(openapi.operations(document, frozenset(service.operations)))
    base = httpx.URL(service.url or openapi.server(document))
    if base.scheme not in {"http", "https"} or not base.host or base.userinfo or base.query:
        raise ValueError("its URL needs http:// or https:// and a host, and no user or query")
    token = environment.get(service.token_variable) if service.token_variable else None
    if service.token_variable and not token:
        raise ValueError(f"the environment has no {service.token_variable}")
    endpoint = Endpoint(base, token)
    return [
        _tool(service, operation, service.operations[operation.name], endpoint, transport)
        for operation in found
    ]


def _tool(
    service: Service,
    operation: Operation,
    said: Declared,
    endpoint: Endpoint,
    transport: httpx.AsyncBaseTransport,
) -> Tool:
    declaration = said.declaration(frozenset({endpoint.base.host}), seconds=SECONDS)

    async def run(arguments: Arguments, caller: Caller, key: str) -> Output:
        headers = {"Accept": "application/json", "Accept-Encoding": body.ACCEPT_ENCODING}
        if endpoint.token is not None:
            headers["Authorization"] = f"Bearer {endpoint.token}"
        if said.idempotency == "keyed":
            headers["Idempotency-Key"] = key
        asked = request(operation, endpoint.base, arguments, headers)
        asked.extensions = {"timeout": httpx.Timeout(declaration.timeout_seconds).as_dict()}
        status, text = await _answer(transport, asked)
        if endpoint.token is not None:
            text = text.replace(endpoint.token, "[token]")  # some servers repeat what they got
        sources = (str(asked.url.copy_with(query=None)),) if said.reads_untrusted else ()
        _raise_for(status, text, sources, said.idempotency)
        return Output(text or f"Done (status {status}).", sources)

    text = said.description or operation.description or f"Calls {operation.name}."
    return Tool(
        full_name(service.name, operation.name),
        text[:MOST_DESCRIPTION_CHARACTERS],
        operation.schema,
        declaration,
        run,
    )


async def _answer(transport: httpx.AsyncBaseTransport, asked: httpx.Request) -> tuple[int, str]:
    """Return status and text of an answer; what cannot be shown does not undo what was done."""
    try:
        response = await transport.handle_async_request(asked)
        try:
            return response.status_code, await _shown(response)
        finally:
            await response.aclose()
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        kind = type(error).__name__
        raise RemoteUnreachable(f"The service cannot be reached ({kind}).") from error
    except httpx.HTTPError as error:
        kind = type(error).__name__
        raise RemoteUnavailable(f"The service did not answer well ({kind}).") from error


async def _shown(response: httpx.Response) -> str:
    kind, _ = body.media_type(response.headers)
    if not kind.startswith(TEXT) and not kind.endswith("+json"):
        return f"(An answer of type {kind[:80]}, which is not shown.)" if kind else ""
    try:
        return (await body.read(response)).decode("utf-8", "replace")
    except body.BodyRefused as error:
        return f"({error} It is not shown.)"


def _raise_for(status: int, text: str, sources: tuple[str, ...], idempotency: Idempotency) -> None:
    """Raise for an answer that is not a success.

    A status of 4xx says that nothing was done, so the model may try differently; the exceptions
    leave it open: 408 (given up waiting), and 409 to a key, which may still be at work.
    """
    if 200 <= status < 300:
        return
    if not 400 <= status < 500 or status == 408 or (status == 409 and idempotency == "keyed"):
        raise RemoteUnavailable(f"The service answered with status {status}.")
    reason = text[:MOST_REASON_CHARACTERS]
    raise TryDifferently(f"The service refused with status {status}: {reason}", sources)
