"""The real application in this process, over a real database and scripted outer edges."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import Receive, Scope, Send

from api.app import create_app
from api.keys import Keys
from core.telemetry import NullTracer
from evals.bench.servers import furnished
from graphs.runner import Runner
from nodes import context
from tests.graphs.turns import QUICK

URL = "http://127.0.0.1:8080"


def runner_of(services: context.Services) -> Runner:
    """Return a runner; unless it is entered it takes no run that waits."""
    return Runner(services, context.Limits(), QUICK, NullTracer())


@asynccontextmanager
async def client_of(
    runner: Runner, keys: Keys | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the application; what nobody expected is a 500, as on the wire."""
    services = furnished(runner, keys)
    app = create_app(services)

    async def started(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {"services": services, "streams": app.state.streams}
        await app(scope, receive, send)

    transport = httpx.ASGITransport(started, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as opened:
        yield opened
