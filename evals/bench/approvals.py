"""What an approval costs: from a reviewer's decision to its effect, and a long list of what waits.

Over HTTP, with a real server process and a real database; the model is scripted, and the effect is
one that commits with its note in the ledger.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from db.embedded import embedded_postgres
from db.migrate import migrate
from evals.bench.servers import serve
from evals.spread import percentile

AT_ONCE = 8
LISTED = 20  # times
REVIEWER = {"Parley-User": "reviewer"}


async def run(*, decisions: int = 200, pending: int = 1000) -> dict[str, Any]:
    """Measure and return the report; times are milliseconds."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        async with embedded_postgres(Path(name)) as postgres:
            await migrate(postgres.admin_url)
            async with serve("acting", postgres.url) as url, _client(url) as client:
                await asyncio.gather(*(approved(client) for _ in range(AT_ONCE)))  # warm
                alone = [await approved(client) for _ in range(decisions)]
                together = await crowd(client, decisions)
                await fill(client, pending)
                listed = [await listing(client, pending) for _ in range(LISTED)]
                among = [await approved(client) for _ in range(decisions // 4)]
    return {
        "approve_to_effect": {
            "alone": _spread(alone),
            f"{AT_ONCE}_at_once": _spread(together),
            f"among_{pending}_pending": _spread(among),
        },
        f"list_of_{pending}": _spread(listed),
        "conditions": {"decisions": decisions, "pending": pending},
    }


async def approved(client: httpx.AsyncClient) -> float:
    """Run a turn that asks, approve it; return the time from the decision to the effect's event."""
    path, run_id = await asked(client)
    effect = asyncio.get_running_loop().create_future()

    async def follow() -> None:
        async for event, _ in events(client, f"{path}/{run_id}/events"):
            if event == "tool.finished":
                effect.set_result(time.perf_counter())
            elif event == "run.waiting":
                waiting.set()

    waiting = asyncio.Event()
    following = asyncio.create_task(follow())
    await waiting.wait()
    run = (await client.get(f"{path}/{run_id}")).raise_for_status().json()
    [approval] = run["approvals"]
    began = time.perf_counter()
    decision = await client.post(
        f"/v1/approvals/{approval}/decision", json={"decision": "approve"}, headers=REVIEWER
    )
    decision.raise_for_status()
    took = await effect - began
    await following
    return 1000 * float(took)


async def asked(client: httpx.AsyncClient) -> tuple[str, str]:
    """Begin a turn in a thread of its own; return the path of its runs and its id."""
    thread = (await client.post("/v1/threads", json={})).raise_for_status().json()["thread_id"]
    path = f"/v1/threads/{thread}/runs"
    begun = (await client.post(path, json={"input": "Note this."})).raise_for_status().json()
    return path, begun["run_id"]


async def events(client: httpx.AsyncClient, path: str) -> AsyncIterator[tuple[str, Any]]:
    """Yield (type, data) of the events of a run."""
    kind = ""
    async with client.stream("GET", path) as response:
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


async def crowd(client: httpx.AsyncClient, decisions: int) -> list[float]:
    """Approve from several reviewers at once; return the times."""

    async def one() -> list[float]:
        return [await approved(client) for _ in range(decisions // AT_ONCE)]

    return [
        took for taken in await asyncio.gather(*(one() for _ in range(AT_ONCE))) for took in taken
    ]


async def fill(client: httpx.AsyncClient, pending: int) -> None:
    """Let so many turns wait for a person."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with places:
            path, run_id = await asked(client)
            async for event, _ in events(client, f"{path}/{run_id}/events"):
                if event == "run.waiting":
                    break

    await asyncio.gather(*(one() for _ in range(pending)))


async def listing(client: httpx.AsyncClient, pending: int) -> float:
    """List all that waits; return the time it takes."""
    began = time.perf_counter()
    answer = await client.get("/v1/approvals", params={"limit": pending}, headers=REVIEWER)
    took = time.perf_counter() - began
    assert len(answer.raise_for_status().json()["approvals"]) == pending
    return 1000 * took


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=4 * AT_ONCE, max_keepalive_connections=4 * AT_ONCE)
    return httpx.AsyncClient(base_url=url, timeout=60, limits=limits)


def _spread(taken: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(percentile(taken, 0.5), 2),
        "p95_ms": round(percentile(taken, 0.95), 2),
    }
