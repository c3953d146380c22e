"""What users notice when model servers die in the middle of their answers, and come back.

The real application over HTTP, real model servers in processes of their own, killed with SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from db.embedded import embedded_postgres
from db.migrate import migrate
from evals.bench.servers import serve
from tgi.spawn import child

SERVERS = 2
TOKENS_PER_SECOND = 40.0  # an answer takes about two seconds
REST_SECONDS = 1.0  # instead of a minute, for which nobody wants to wait
RECOVERY_SECONDS = 30.0
BROKEN = "broken"  # neither an answer nor an error that says what it is


@dataclass(frozen=True, slots=True)
class End:
    """How one turn ended."""

    level: str  # of the answer; the code of the error otherwise
    status: int  # of HTTP


async def run(*, streams: int = 50) -> dict[str, Any]:
    """Measure and return the report.

    For each phase `turns` by level or code of an error, and how many answers were `http_500`:
    `quiet`, nothing fails; `one_dies`, one of two servers in the middle of the streams;
    `left_alone`, while it is gone; `all_die`, the other one too; `nobody`, while both are gone;
    `back`, when both have come back.
    `asked_while_dead`: connections that the dead server's address got in `left_alone`.
    `back_after_seconds`: from the start of a server to the first answer of it; it includes what
    is left of the rest, which is `rest_seconds` here.
    """
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        async with (
            AsyncExitStack() as stack,
            embedded_postgres(folder / "postgres") as postgres,
        ):
            await migrate(postgres.admin_url)
            servers = [await stack.enter_async_context(ModelServer.run()) for _ in range(SERVERS)]
            file = folder / "models.json"
            file.write_text(json.dumps({"models": {"large": {"endpoints": urls(servers)}}}))
            settings = {"MODEL_FILE": str(file), "MODEL_BREAKER_SECONDS": str(REST_SECONDS)}
            async with (
                serve("modelled", postgres.url, **settings) as url,
                httpx.AsyncClient(base_url=url, timeout=120.0) as client,
            ):
                return await outage(client, servers, streams)


async def outage(
    client: httpx.AsyncClient, servers: Sequence[ModelServer], streams: int
) -> dict[str, Any]:
    """Let the servers die and come back; return the report."""
    first, second = servers
    report: dict[str, Any] = {"quiet": counted(await turns(client, streams))}
    report["one_dies"] = counted(await turns(client, streams, dying=first))
    async with listening(first.port) as asked:
        report["left_alone"] = counted(await turns(client, streams))
    report["asked_while_dead"] = asked.total()
    report["all_die"] = counted(await turns(client, streams, dying=second))
    report["nobody"] = counted(await turns(client, streams))
    began = time.perf_counter()
    for server in servers:
        await server.start()
    report["back_after_seconds"] = round(await back(client, began), 2)
    report["back"] = counted(await turns(client, streams))
    report["conditions"] = {
        "streams": streams,
        "servers": SERVERS,
        "rest_seconds": REST_SECONDS,
        "tokens_per_second": TOKENS_PER_SECOND,
    }
    return report


class ModelServer:
    """A model server that can be killed and started again at its address."""

    def __init__(self) -> None:
        self.port = 0
        self._stack = AsyncExitStack()
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    @asynccontextmanager
    async def run(cls) -> AsyncIterator[ModelServer]:
        """Yield a server that runs."""
        server = cls()
        try:
            await server.start()
            yield server
        finally:
            await server._stack.aclose()

    async def start(self) -> None:
        """Start it, at its address if it had one."""
        command = [sys.executable, "-m", "evals.bench.model", str(self.port)]
        url, self._process = await self._stack.enter_async_context(child(command))
        self.port = int(url.rsplit(":", 1)[1])
        told = {"timing": {"tokens_per_second": TOKENS_PER_SECOND}}
        async with httpx.AsyncClient() as control:
            (await control.put(f"{url}/faults", json=told)).raise_for_status()

    async def kill(self) -> None:
        """Let it die as a process does that nobody asked."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def busy(self) -> int:
        """Return how many answers it works on."""
        async with httpx.AsyncClient() as control:
            text = (await control.get(f"http://127.0.0.1:{self.port}/metrics")).text
        lines = (line.split() for line in text.splitlines())
        return int(float(next(line[1] for line in lines if line[:1] == [BATCH])))


BATCH = "tgi_batch_current_size"


def urls(servers: Sequence[ModelServer]) -> list[str]:
    """Return the addresses of servers."""
    return [f"http://127.0.0.1:{server.port}" for server in servers]


async def turns(
    client: httpx.AsyncClient, number: int, *, dying: ModelServer | None = None
) -> list[End]:
    """Run turns at the same time, half of them streamed; return how they ended.

    dying: dies once it works on its share of the answers.
    """
    asking = [asyncio.create_task(ask(client, n, stream=n % 2 == 0)) for n in range(number)]
    if dying is not None:
        while await dying.busy() < number // SERVERS // 2:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)
        await dying.kill()
    return await asyncio.gather(*asking)


async def ask(client: httpx.AsyncClient, number: int, *, stream: bool) -> End:
    """Ask over OpenAI's route; return how that ended."""
    # Each in its own words, and with a temperature: nothing is given again from the cache.
    body = {
        "model": "parley",
        "messages": [{"role": "user", "content": f"What is word{number}?"}],
        "temperature": 0.5,
        "stream": stream,
    }
    response = await client.post("/v1/chat/completions", json=body)
    try:
        if not response.is_success:
            return End(str(response.json()["error"]["code"]), response.status_code)
        if not stream:
            message = response.json()["choices"][0]["message"]
            return End(str(message["parley"]["level"]), response.status_code)
        return End(_streamed(response.text), response.status_code)
    except (LookupError, ValueError, TypeError):
        return End(BROKEN, response.status_code)


def _streamed(text: str) -> str:
    """Return the level of a streamed answer, or the code of its error."""
    said = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    for frame in map(json.loads, said):
        if "error" in frame:
            return str(frame["error"]["code"])
        for choice in frame["choices"]:
            if "parley" in choice["delta"]:
                return str(choice["delta"]["parley"]["level"])
    return BROKEN


def counted(ends: Sequence[End]) -> dict[str, Any]:
    """Return how turns ended."""
    return {
        "turns": dict(sorted(Counter(end.level for end in ends).items())),
        "http_500": sum(end.status == 500 for end in ends),
    }


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Counter[str]]:
    """Count who connects to the port of a server that is gone; nobody gets an answer."""
    asked: Counter[str] = Counter()

    def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked["connections"] += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", port)
    try:
        yield asked
    finally:
        server.close()
        await server.wait_closed()


async def back(client: httpx.AsyncClient, began: float) -> float:
    """Return how long it took until a model server answered again; raises TimeoutError."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        number = 1_000_000
        while (await ask(client, number, stream=True)).level != "full":
            number += 1
            await asyncio.sleep(0.05)
    return time.perf_counter() - began
