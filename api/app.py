"""The application, as a table of contents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from api import approvals, docs, documents, errors, health, metrics, usage
from api.build import Services, build
from api.caller import Identify
from api.dialects import native, openai
from api.edge import Edge
from api.sse import Streams
from api.state import State
from api.version import VERSION
from core.settings import Settings

DESCRIPTION = (
    "A self-hosted chat agent that asks before it acts. "
    "Every answer says which documents it rests on."
)
TAGS = [
    {"name": "conversations", "description": "Threads, messages, runs and their events."},
    {"name": "approvals", "description": "What waits for a person, and what that person decides."},
    {"name": "documents", "description": "What answers rest on: put in, looked at, taken out."},
    {"name": "openai", "description": "For any client of OpenAI's chat completions."},
    {"name": "usage", "description": "What was spent on models."},
    {"name": "health", "description": "For probes."},
]


def create_app(made_of: Settings | Services) -> FastAPI:
    """Return the application.

    made_of: settings to build the services from when the application starts, or services that
    somebody else opened and will close.
    """
    settings = made_of if isinstance(made_of, Settings) else made_of.settings
    streams = Streams(heartbeat_seconds=settings.api.heartbeat_seconds)
    app = FastAPI(
        title="Parley",
        version=VERSION,
        summary="A chat agent over your documents",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=_lifespan(made_of, streams),
        docs_url=None,  # FastAPI's own pages load scripts from a CDN
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.streams = streams
    errors.install(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(docs.router)
    app.include_router(native.router)
    app.include_router(approvals.router)
    app.include_router(documents.router)
    app.include_router(openai.router)
    app.include_router(usage.router)
    app.add_middleware(Identify)
    app.add_middleware(
        Edge,
        max_body_bytes=settings.api.max_body_bytes,
        max_upload_bytes=settings.knowledge.max_document_mb << 20,
    )
    return app


def _lifespan(made_of: Settings | Services, streams: Streams) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        if isinstance(made_of, Services):
            yield State(services=made_of, streams=streams)
            return
        async with build(made_of) as services:
            yield State(services=services, streams=streams)

    return lifespan
