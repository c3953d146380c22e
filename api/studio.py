"""The conversation graph for LangGraph Studio: `langgraph dev` finds `graph` and `app` here.

Studio brings its own threads, runs and checkpoints, so there is no runner: each node gets a
context whose events go nowhere, over services that the lifespan of `app` opens and closes.
Give it `{"text": "your question"}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from langgraph.runtime import Runtime

from api.build import build, limits
from api.caller import LOCAL, Caller
from core.errors import OperatorError
from core.events import EventType
from core.settings import read
from core.telemetry import NullTrace
from core.turn import TurnState
from graphs import chat
from nodes.context import Context, Limits, Services
from nodes.staged import Node
from nodes.stages import Stages


class Studio:
    """Holds the services while the server runs; the server offers no better place for them."""

    def __init__(self) -> None:
        self.services: Services | None = None
        self.limits = Limits()

    def wrap(self, name: str, node: Node) -> Node:
        """Return `node` with a context of our own; raises OperatorError before the start."""

        async def run(state: TurnState, runtime: Runtime[Context]) -> TurnState:
            whole = TurnState(**{"user_seq": 1, **state})
            return await node(whole, runtime.override(context=self.context(whole, LOCAL)))

        run.__name__ = name
        return run

    def context(self, state: TurnState, caller: Caller) -> Context:
        """Return the surroundings of one node."""
        if self.services is None:
            raise OperatorError("The services are not open yet.")
        return Context(
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            thread_id="",
            run_id="",
            services=self.services,
            limits=self.limits,
            stages=Stages(state, _nowhere, NullTrace()),
            emit=_nowhere,
            groups=caller.groups,
            roles=caller.roles,
        )


def _nowhere(type_: EventType, data: dict[str, object]) -> None:
    """Drop an event: Studio shows the state instead."""


studio = Studio()
graph = chat.build(studio.wrap, context_schema=None).compile(name="chat")


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    settings = await asyncio.to_thread(read)
    async with build(settings, background=False) as services:
        studio.services = services.runner.services
        studio.limits = limits(settings)
        yield
    studio.services = None


app = FastAPI(lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None)
