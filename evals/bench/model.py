"""What our chat model costs its own process, beside plain httpx on the same stream.

Every contender reads the same answer of 64 tokens from the same server, which is a process of its
own; they take turns, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import importlib.util
import math
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

import httpx
import orjson
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from core.settings import ModelSettings
from evals.bench.edges import TOKENS, WORDS, ScriptedEmbedder
from evals.spread import Share, Z
from tgi.client import Timeouts, pool
from tgi.embedded.model import Reply, TokenSpan
from tgi.embedded.serve import announce, end_with_parent, listen, serve
from tgi.embedded.server import create_app
from tgi.models import connect
from tgi.spawn import child
from tgi.stream import stream

TEXT = "".join(WORDS)
# Tokens a second: one by one, as a GPU sends them, and as fast as they are read.
PACES = {"token_by_token": 1000.0, "at_once": 0.0}
WARM = 5  # rounds before the first that counts
MESSAGES: Sequence[BaseMessage] = [
    SystemMessage("You answer from the sources that you are given. " * 20),
    HumanMessage("What do they say?"),
]
BODY = {
    "model": "tgi",
    "messages": [
        {"role": role, "content": message.content}
        for role, message in zip(("system", "user"), MESSAGES, strict=True)
    ],
    "max_tokens": 512,
    "stream": True,
    "stream_options": {"include_usage": True},
}
LANGCHAIN_OPENAI = "langchain_openai"

# Asks once; yields what has come, piece by piece.
Contender: TypeAlias = Callable[[], AsyncIterator[str | bytes]]


class Taken(NamedTuple):
    """One answer, in milliseconds."""

    cpu: float  # of this process
    first: float  # from the question to the first piece


async def run(*, rounds: int = 300) -> dict[str, Any]:
    """Measure and return the report.

    For each pace (`token_by_token`, `at_once`) and contender (`raw`: httpx, only its bytes;
    `parsed`: httpx, with lines, JSON and text; `ours`: the chat model, as nodes read it;
    `langchain_openai`: its ChatOpenAI, where that is installed):
    `cpu_ms`: CPU time of the client's process for an answer, median;
    `cpu_over_raw`: the same divided by raw's of the same round, median and its interval;
    `first_token_ms`: from the question to the first token, median;
    `first_token_added_ms`: the same less raw's of the same round, median and its interval.
    """
    report: dict[str, Any] = {}
    async with (
        child([sys.executable, "-m", "evals.bench.model"]) as (url, _),
        contenders(url) as found,
        httpx.AsyncClient() as control,
    ):
        for pace, tokens_per_second in PACES.items():
            told = {"timing": {"tokens_per_second": tokens_per_second}}
            (await control.put(f"{url}/faults", json=told)).raise_for_status()
            report[pace] = compare(await measure(found, rounds))
    report["conditions"] = {
        "rounds": rounds,
        "tokens": TOKENS,
        LANGCHAIN_OPENAI: "measured" if LANGCHAIN_OPENAI in found else "not installed",
    }
    return report


async def measure(found: Mapping[str, Contender], rounds: int) -> dict[str, list[Taken]]:
    """Return what each contender took, round by round."""
    taken: dict[str, list[Taken]] = {name: [] for name in found}
    lot = random.Random(0)
    for _ in range(WARM + rounds):
        # By lot: nobody always pays for what the same one before has left to clean up.
        for name in lot.sample(list(found), len(found)):
            taken[name].append(await ask(found[name]))
    return {name: rows[WARM:] for name, rows in taken.items()}


async def ask(contender: Contender) -> Taken:
    """Read one answer to its end; raises RuntimeError for another one than was to come."""
    first, read = 0.0, 0
    spent, began = time.process_time(), time.perf_counter()
    async for piece in contender():
        first = first or time.perf_counter()
        read += len(piece)
    spent = time.process_time() - spent
    if read < len(TEXT):
        raise RuntimeError(f"Only {read} of {len(TEXT)} characters arrived.")
    return Taken(1000 * spent, 1000 * (first - began))


def compare(taken: Mapping[str, Sequence[Taken]]) -> dict[str, Any]:
    """Return the figures of each contender, beside raw's."""
    raw = taken["raw"]
    report: dict[str, Any] = {}
    for name, rows in taken.items():
        report[name] = {
            "cpu_ms": round(statistics.median(row.cpu for row in rows), 3),
            "first_token_ms": round(statistics.median(row.first for row in rows), 3),
        }
        if name != "raw":
            pairs = list(zip(rows, raw, strict=True))
            report[name]["cpu_over_raw"] = median([row.cpu / base.cpu for row, base in pairs])
            added = [row.first - base.first for row, base in pairs]
            report[name]["first_token_added_ms"] = median(added)
    return report


def median(values: Sequence[float]) -> Share:
    """Return the median with its 95 % interval, from the binomial distribution of its rank."""
    ordered, n = sorted(values), len(values)
    reach = Z * math.sqrt(n) / 2
    low, high = math.floor(n / 2 - reach), math.ceil(n / 2 + reach)
    return Share(
        value=round(statistics.median(ordered), 3),
        low=round(ordered[max(low, 0)], 3),
        high=round(ordered[min(high, n - 1)], 3),
        n=n,
    )


@asynccontextmanager
async def contenders(url: str) -> AsyncIterator[dict[str, Contender]]:
    """Give the clients of the server at `url` by name, each with a connection of its own."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(pool(url, Timeouts())) for _ in range(2)]
        settings = ModelSettings(_env_file=None, url=url)
        unasked: Any = ScriptedEmbedder()  # counts no tokens here
        models = await stack.enter_async_context(connect(settings, url=url, embedder=unasked))
        model = models.chat(next(iter(models.catalog.models)))

        async def ours() -> AsyncIterator[str]:
            async for chunk in stream(model, MESSAGES):
                yield str(chunk.content)

        found: dict[str, Contender] = {
            "raw": lambda: raw(clients[0], url),
            "parsed": lambda: parsed(clients[1], url),
            "ours": ours,
        }
        if importlib.util.find_spec(LANGCHAIN_OPENAI):
            found[LANGCHAIN_OPENAI] = _langchain_openai(url)
        yield found


async def raw(client: httpx.AsyncClient, url: str) -> AsyncIterator[bytes]:
    """Yield the bytes of an answer."""
    async with client.stream("POST", f"{url}/v1/chat/completions", json=BODY) as response:
        async for chunk in response.aiter_bytes():
            yield chunk


async def parsed(client: httpx.AsyncClient, url: str) -> AsyncIterator[str]:
    """Yield the text of an answer, as one would write it by hand."""
    async with client.stream("POST", f"{url}/v1/chat/completions", json=BODY) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                frame = orjson.loads(line[6:])
                for choice in frame["choices"]:
                    yield choice["delta"].get("content") or ""


def _langchain_openai(url: str) -> Contender:
    """Return the contender that everybody else would use."""
    library = importlib.import_module(LANGCHAIN_OPENAI)
    model = library.ChatOpenAI(
        base_url=f"{url}/v1", api_key="none", model="tgi", stream_usage=True, max_retries=0
    )

    async def ask() -> AsyncIterator[str]:
        async for chunk in model.astream(MESSAGES, max_tokens=512):
            yield str(chunk.content)

    return ask


class Talker:
    """A model that always gives the same answer."""

    name = "talker"
    version = "1"

    async def chat(self, messages: Sequence[dict[str, Any]], **_: Any) -> Reply:
        """Answer."""
        return Reply(text=TEXT)

    async def generate(self, prompt: str, **_: Any) -> Reply:
        """Continue."""
        return Reply(text=TEXT)

    def tokens(self, text: str) -> list[TokenSpan]:
        """Return the words as tokens; those of the answer are as many as were scripted."""
        spans, place = [], 0
        for word in WORDS if text == TEXT else text.split():
            start = text.index(word, place)
            place = start + len(word)
            spans.append(TokenSpan(1, word, start, place))
        return spans


if __name__ == "__main__":
    end_with_parent(sys.stdin.fileno())
    bound = listen("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    announce(bound)
    serve(create_app(Talker(), control=True), bound)
