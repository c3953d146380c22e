"""The two servers of the turn benchmark, each a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel

from api.app import create_app
from api.build import Services
from core.metrics import Metrics
from core.settings import Settings
from core.telemetry import NullTracer
from db.pool import Database
from evals.asking import AskingModel, TaskIntents
from evals.bench import edges, stock
from evals.scratch import ROOT
from graphs.runner import Pace, Runner
from nodes import context as turn
from nodes.alike import Alike
from nodes.prompts import Prompts
from nodes.replies import Replies
from tgi.models import Models
from tools.policy import Policy
from tools.registry import Registry
from tools.tool import Caller, Declaration
from tools.transactional import Conn, transactional

POOL_SIZE = 8
START_SECONDS = 60


@asynccontextmanager
async def serve(contender: str, database_url: str) -> AsyncIterator[str]:
    """Run a server in a process of its own; yield its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evals.bench.servers", contender, database_url),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), START_SECONDS)).decode().strip()
        async with httpx.AsyncClient() as client:
            (await client.get(f"{url}/cpu")).raise_for_status()
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Notes(BaseModel):
    """What the one tool of the acting server writes down."""

    text: str


async def _note(conn: Conn, asked: Notes, caller: Caller, key: str) -> str:
    return f"Noted: {asked.text}"


def acting(database: Database) -> tuple[Any, Any, Registry]:
    """Return a model that always asks for an effect, intents to match, and the tool for it."""
    model = AskingModel().plays([("note", {"text": "this"})], "It is noted.")
    declaration = Declaration("internal_write", "keyed")
    tool = transactional(database, "note", "Notes something.", Notes, _note, declaration)
    return model, TaskIntents(), Registry([tool])


@asynccontextmanager
async def parley(database_url: str, *, acts: bool = False) -> AsyncIterator[FastAPI]:
    """Yield the real application over the scripted edges; acts: each turn asks a person."""
    embedder: Any = edges.ScriptedEmbedder()
    search: Any = edges.scripted_search
    model: Any = edges.ScriptedModel()
    guard: Any = edges.ScriptedGuard()
    intents: Any = edges.ScriptedIntents()
    tools = Registry([])
    tracer = NullTracer()
    metrics = Metrics()
    async with Database.open(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as database:
        if acts:
            model, intents, tools = acting(database)
        models = Models.of(model)
        services = turn.Services(
            database=database,
            embedder=embedder,
            search=search,
            models=models,
            guard=guard,
            intents=intents,
            prompts=Prompts.load(),
            replies=Replies.load(),
            alike=Alike.load(),
            metrics=metrics,
            tools=tools,
            policy=Policy.load(),
        )
        async with Runner(services, turn.Limits(), Pace(), tracer) as runner:
            yield create_app(
                Services(
                    settings=Settings(),
                    database=database,
                    embedder=embedder,
                    search=search,
                    models=models,
                    guard=guard,
                    tracer=tracer,
                    runner=runner,
                    metrics=metrics,
                    worker=None,
                    reviews=runner.reviews,
                    keys=None,
                )
            )


@asynccontextmanager
async def bare(database_url: str) -> AsyncIterator[FastAPI]:
    """Yield the yardstick."""
    yield stock.create_app(database_url, POOL_SIZE)


class Announcing(uvicorn.Server):
    """Prints its address once it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print."""
        await super().startup(sockets)
        if self.started:
            port = self.servers[0].sockets[0].getsockname()[1]
            print(f"http://127.0.0.1:{port}", flush=True)


async def main(contender: str, database_url: str) -> None:
    """Serve until the process is ended."""
    servers: dict[str, Callable[[str], AbstractAsyncContextManager[FastAPI]]] = {
        "parley": parley,
        "acting": partial(parley, acts=True),
        "stock": bare,
    }
    async with servers[contender](database_url) as app:

        @app.get("/cpu")
        async def cpu() -> float:
            return time.process_time()

        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, loop="uvloop", http="httptools", log_level="warning"
        )
        await Announcing(config).serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=["parley", "acting", "stock"])
    parser.add_argument("database_url")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.contender, arguments.database_url))
