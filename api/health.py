"""Is the process alive, and is everything it needs?"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from api.state import ServicesDep
from core.errors import ParleyError

PING_TIMEOUT_SECONDS = 2.0
SPARED = {"model"}  # parts without which requests are still worth sending here
HOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Parley</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<h1>Parley</h1>
<p>A self-hosted chat agent that asks before it acts.
<p><a href="/docs">How to talk to it</a> · <a href="/ready">Is everything up?</a>
</html>
"""
log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process serves requests."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})
    status: Literal["ok"] = "ok"


class Part(BaseModel):
    """One thing that Parley needs."""

    status: Literal["ok", "failed"]
    error: str | None = Field(None, description="The code of what is wrong.")
    ms: float = Field(description="How long its answer took.")


class Readiness(BaseModel):
    """Whether each part answered in time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "parts": {
                        "database": {"status": "ok", "error": None, "ms": 0.6},
                        "model": {"status": "ok", "error": None, "ms": 1.9},
                        "embedder": {"status": "ok", "error": None, "ms": 8.2},
                    },
                }
            ]
        }
    )
    status: Literal["ready", "degraded", "unready"]
    parts: dict[str, Part]


@router.get("/", include_in_schema=False)
async def home(request: Request) -> Response:
    """Point to the documentation, for a browser or for a program."""
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(HOME)
    return JSONResponse({"name": "parley", "docs": "/docs", "openapi": "/openapi.json"})


@router.get("/health")
async def health() -> Alive:
    """Return 200 while the process serves requests, whatever else is down."""
    return Alive()


@router.get("/ready", responses={503: {"model": Readiness, "description": "A part has failed."}})
async def ready(services: ServicesDep, response: Response) -> Readiness:
    """Ask every part at once whether it works; 503 names those that do not.

    Without its models Parley is `degraded`: it still answers, from its sources.
    """
    pings: dict[str, Callable[[], Awaitable[object]]] = {
        "database": services.database.ping,
        "model": services.models.check,
        "embedder": lambda: services.embedder.passages(["ready?"]),
    }
    parts = dict(zip(pings, await asyncio.gather(*map(probe, pings.values())), strict=True))
    failed = {name for name, part in parts.items() if part.status == "failed"}
    if failed - SPARED:
        response.status_code = 503
        return Readiness(status="unready", parts=parts)
    return Readiness(status="degraded" if failed else "ready", parts=parts)


async def probe(ping: Callable[[], Awaitable[object]]) -> Part:
    """Return how a ping went; what an error says may hold addresses, so only its code is told."""
    began = time.perf_counter()
    error: str | None = None
    try:
        async with asyncio.timeout(PING_TIMEOUT_SECONDS):
            await ping()
    except TimeoutError:
        error = "timeout"
    except ParleyError as failure:
        error = failure.code
    except Exception:  # a probe has to report whatever happens
        log.exception("a readiness probe failed unexpectedly")
        error = ParleyError.code
    ms = round((time.perf_counter() - began) * 1000, 1)
    return Part(status="failed" if error else "ok", error=error, ms=ms)
