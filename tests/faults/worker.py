"""Processes that work on runs, and die.

`python -m tests.faults.worker` imports everything once and forks a worker for each line of its
standard input; so a worker is a process of its own, and starts at once. It does what it is told
over a socket, and ends with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import UUID

import httpx

from core.telemetry import NullTracer
from db.pool import Database
from graphs.runner import Pace, Runner
from nodes.context import Limits
from tests.faults import points
from tests.faults.world import furnished
from tests.graphs.acting import REVIEWER, decide
from tests.graphs.turns import TENANT
from tools import executor


def main() -> None:
    """Fork a worker for each line; "wait PID" says how one has ended."""
    asyncio.run(warm())
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "wait":
            _, status = os.waitpid(int(rest), 0)
            answer(os.waitstatus_to_exitcode(status))
            continue
        process = os.fork()
        if process == 0:
            asyncio.run(work(json.loads(rest)))
            os._exit(0)
        answer(process)


def answer(number: int) -> None:
    """Tell the process that asked."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


async def warm() -> None:
    """Import what is imported at first use, once for all workers."""
    async with httpx.AsyncClient(verify=False, trust_env=False) as client:
        with suppress(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")


async def work(told: dict[str, Any]) -> None:
    """Open the database, say so, and do what comes over the socket until it closes."""
    points.install()
    executor.GRACE_SECONDS = told["grace_seconds"]
    reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])

    async def say(what: dict[str, Any]) -> None:
        writer.write(json.dumps({"pid": os.getpid(), **what}).encode() + b"\n")
        await writer.drain()

    async with Database.open(told["url"]) as database, AsyncExitStack() as stack:
        used = furnished(database, told["remote"])
        pace = Pace(**told["pace"])
        runner = Runner(used, Limits(), pace, NullTracer())
        await say({"did": "open"})
        while line := await reader.readline():
            order = json.loads(line)
            if order["do"] == "arm":
                points.arm(order["point"], order["nth"], order["fate"])
            elif order["do"] == "enter":
                await stack.enter_async_context(runner)
            elif order["do"] == "start":
                await runner.start(
                    tenant_id=TENANT, user_id="local", thread_id=None, text=order["text"]
                )
            elif order["do"] == "decide":
                await decide(used, UUID(order["approval_id"]), order["choice"], REVIEWER)
                points.reach("decided")
            elif order["do"] == "idle":
                while runner.live:  # noqa: ASYNC110 - a turn that was lost announces nothing
                    await asyncio.sleep(0.01)
            await say({"did": order["do"]})
        os._exit(0)


if __name__ == "__main__":
    main()
