"""The two servers of the turn benchmark, each a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from api.app import create_app
from api.build import Services
from api.keys import Keys
from core.heap import settle
from core.metrics import Metrics
from core.settings import Settings, read
from core.telemetry import NullTracer
from db.pool import Database
from embeddings.minilm import MiniLM
from evals.asking import AskingModel, TaskIntents
from evals.bench import edges, stock
from evals.scratch import ROOT
from graphs.runner import Pace, Runner
from nodes import context as turn
from tgi import models
from tools.tool import Caller, Declaration
from tools.transactional import Conn, transactional

POOL_SIZE = 8
START_SECONDS = 60


@asynccontextmanager
async def serve(contender: str, database_url: str, **settings: str) -> AsyncIterator[str]:
    """Run a server in a process of its own, with these settings; yield its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "evals.bench.servers", contender, database_url),
        cwd=ROOT,
        env=os.environ | settings,
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


def acting(database: Database) -> turn.Services:
    """Return services whose model always asks for an effect, and whose user wants one."""
    model = AskingModel().plays([("note", {"text": "this"})], "It is noted.")
    declaration = Declaration("internal_write", "keyed")
    tool = transactional(database, "note", "Notes something.", Notes, _note, declaration)
    return edges.services(database, model, [tool], intents=TaskIntents())


@asynccontextmanager
async def parley(
    database_url: str, make: Callable[[Database], turn.Services]
) -> AsyncIterator[FastAPI]:
    """Yield the real application over services that are scripted."""
    async with (
        Database.open(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as database,
        Runner(make(database), turn.Limits(), Pace(), NullTracer()) as runner,
    ):
        yield create_app(furnished(runner))


@asynccontextmanager
async def modelled(database_url: str) -> AsyncIterator[FastAPI]:
    """Yield the same over the model servers that the settings name."""
    metrics = Metrics()
    with closing(await asyncio.to_thread(MiniLM.load)) as embedder:
        async with (
            Database.open(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as database,
            models.connect(read().model, url="", embedder=embedder, metrics=metrics) as connected,
            Runner(
                replace(edges.services(database), models=connected, metrics=metrics),
                turn.Limits(),
                Pace(),
                NullTracer(),
            ) as runner,
        ):
            yield create_app(furnished(runner))


def furnished(runner: Runner, keys: Keys | None = None) -> Services:
    """Return what the application needs around a runner whose services are scripted."""
    made: Any = runner.services
    return Services(
        settings=Settings(),
        database=made.database,
        embedder=made.embedder,
        search=made.search,
        models=made.models,
        guard=made.guard,
        tracer=NullTracer(),
        runner=runner,
        metrics=made.metrics,
        worker=None,
        reviews=runner.reviews,
        keys=keys,
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
        "parley": partial(parley, make=edges.services),
        "acting": partial(parley, make=acting),
        "modelled": modelled,
        "stock": bare,
    }
    async with servers[contender](database_url) as app:

        @app.get("/cpu")
        async def cpu() -> float:
            return time.process_time()

        if contender != "stock":
            settle()  # as `python -m api` does
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, loop="uvloop", http="httptools", log_level="warning"
        )
        await Announcing(config).serve()


if __name__ == "__main__":
    import uvloop  # which there is not where tests may import this module, on Windows

    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=["parley", "acting", "modelled", "stock"])
    parser.add_argument("database_url")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.contender, arguments.database_url))
