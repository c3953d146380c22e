"""The two servers of the turn benchmark, each a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.build import Services
from core.settings import Settings
from core.telemetry import NullTracer
from db.pool import Database
from evals.bench import edges, stock
from evals.scratch import ROOT
from graphs.runner import Pace, Runner
from nodes import context as turn
from nodes.prompts import Prompts
from nodes.replies import Replies

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


def parley(database_url: str) -> FastAPI:
    """Return the real application over the scripted edges."""

    @asynccontextmanager
    async def build(settings: Settings) -> AsyncIterator[Services]:
        embedder = edges.ScriptedEmbedder()
        search, model = cast(Any, edges.scripted_search), cast(Any, edges.ScriptedModel())
        guard, intents = cast(Any, edges.ScriptedGuard()), cast(Any, edges.ScriptedIntents())
        async with Database.open(database_url, min_size=POOL_SIZE, max_size=POOL_SIZE) as database:
            services = turn.Services(
                database=database,
                embedder=embedder,
                search=search,
                model=model,
                guard=guard,
                intents=intents,
                prompts=Prompts.load(),
                replies=Replies.load(),
            )
            async with Runner(services, turn.Limits(), Pace(), NullTracer()) as runner:
                yield Services(
                    settings=settings,
                    database=database,
                    embedder=embedder,
                    search=search,
                    model=model,
                    guard=guard,
                    tracer=NullTracer(),
                    runner=runner,
                )

    app = create_app(Settings(), build=build)

    @app.get("/cpu")
    async def cpu() -> float:
        return time.process_time()

    return app


def main() -> None:
    """Serve until the process is ended; the first line printed is the address."""
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=["parley", "stock"])
    parser.add_argument("database_url")
    arguments = parser.parse_args()
    make = parley if arguments.contender == "parley" else stock_app
    config = uvicorn.Config(
        make(arguments.database_url),
        host="127.0.0.1",
        port=0,
        loop="uvloop",
        http="httptools",
        log_level="warning",
    )
    asyncio.run(_announce(uvicorn.Server(config)))


def stock_app(database_url: str) -> FastAPI:
    """Return the yardstick."""
    return stock.create_app(database_url, POOL_SIZE)


async def _announce(server: uvicorn.Server) -> None:
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        port = server.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)
    await serving


if __name__ == "__main__":
    main()
