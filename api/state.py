"""What the lifespan opened, as requests see it."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import Depends, Request

from api.build import Services
from api.sse import Streams


class State(TypedDict):
    """Lives as long as the application; each request's `state` starts with it."""

    services: Services
    streams: Streams


async def services_of(request: Request) -> Services:
    """Return the long-lived services."""
    services: Services = request.state.services
    return services


async def streams_of(request: Request) -> Streams:
    """Return the open streams."""
    streams: Streams = request.state.streams
    return streams


ServicesDep = Annotated[Services, Depends(services_of)]
StreamsDep = Annotated[Streams, Depends(streams_of)]
