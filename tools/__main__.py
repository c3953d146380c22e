"""python -m tools: look at the tools there are and try those that change nothing."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Annotated, Any
from uuid import uuid4

import typer

from core.command import run
from core.metrics import Metrics
from core.settings import read as read_settings
from db.connect import connect
from embeddings.minilm import MiniLM
from knowledge.configured import searching
from knowledge.search import Search
from tools.configured import configured
from tools.registry import Outcome, Registry
from tools.shop.sample import load_sample
from tools.tool import Caller

LIGHT = {"calculate", "run_python", "query_database", "look_up_order", "list_orders"}

Tenant = Annotated[str, typer.Option(help="Whose data.")]
User = Annotated[str, typer.Option(help="On whose behalf.")]

app = typer.Typer(
    help="The tools.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, passwords among them
)


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="With the schema of arguments.")] = False,
) -> None:
    """List the tools, with what each does to the world."""

    async def work() -> list[dict[str, Any]]:
        async with opened() as registry:
            return [
                {
                    "name": tool.name,
                    "effect": tool.declaration.effect,
                    "idempotency": tool.declaration.idempotency,
                    "description": tool.description,
                    "schema": tool.schema,
                }
                for tool in registry
            ]

    found = run(work())
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for tool in found:
        summary = tool["description"].split(". ")[0].rstrip(".")
        print(f"{tool['name']:16} {tool['effect']:14} {summary}")


@app.command()
def call(
    name: Annotated[str, typer.Argument(help="Of the tool.")],
    arguments: Annotated[str, typer.Argument(help="A JSON object.")] = "{}",
    tenant: Tenant = "default",
    user: User = "developer",
) -> None:
    """Call a tool that has no effect, and print what a model would read.

    Exit status: 0 when it ran, 1 when not.
    """

    async def work() -> Outcome:
        async with opened(name) as registry:
            tool = registry.get(name)
            if tool is not None and tool.declaration.effect != "none":
                raise SystemExit(f"{name} has an effect: it runs in a conversation, when approved.")
            return await registry.call(name, arguments, Caller(tenant, user), key=str(uuid4()))

    outcome = run(work())
    print(outcome.text)
    if outcome.status != "ok":
        raise SystemExit(1)


@app.command()
def sample(tenant: Tenant = "default") -> None:
    """Put the sample orders into the shop; what is there stays as it is."""

    async def work() -> None:
        async with (
            connect(read_settings().database) as database,
            database.transaction(tenant) as conn,
        ):
            await load_sample(conn, tenant_id=tenant)

    run(work())
    print("the sample orders are there")


@asynccontextmanager
async def opened(only: str | None = None) -> AsyncIterator[Registry]:
    """Give the tools that the settings ask for.

    only: the one that will be called; where it does without, the embedding model is not loaded.
    """
    settings = read_settings()
    search: Search | None = None
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(connect(settings.database))
        if only not in LIGHT:
            threads = settings.knowledge.embed_threads
            embedder = stack.enter_context(closing(await asyncio.to_thread(MiniLM.load, threads)))
            search = await stack.enter_async_context(
                searching(settings.knowledge, embedder, Metrics())
            )
        yield await stack.enter_async_context(
            configured(settings, database, os.environ, search=search)
        )


if __name__ == "__main__":
    app()
