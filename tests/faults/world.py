"""What the workers of these tests have: tools of each kind, and a model that asks for them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from numpy.typing import NDArray
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from pydantic import BaseModel

from core.errors import RemoteUnreachable
from core.turn import Intent
from db.pool import Database
from evals.asking import AskingModel
from evals.bench import edges
from nodes.context import Services
from nodes.intents import Guess
from safety.verdict import About, Verdict
from tests.faults.points import reach
from tests.graphs.turns import services
from tools.tool import Caller, Declaration, Output, Tool, typed
from tools.transactional import transactional

BOOK = "insert into effects (word) values (%s)"
EFFECTS = (
    "create table parley.effects (word text not null); grant all on parley.effects to parley_app"
)
ASKED = re.compile(r"\b(book|pay|mail) (\w+)")
KINDS = ("book", "pay", "mail")  # in our own database; remote with a key; remote without one
# Where the remote itself may be slow: a dead process is no reason to wait for long.
TIMEOUT_SECONDS = 5.0


class Word(BaseModel):
    """Arguments of the tools."""

    word: str


class Model(AskingModel):
    """Asks for each "tool word" that the user's message names, one step each, then says so."""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        said = next(m for m in reversed(messages) if isinstance(m, HumanMessage))
        asked = ASKED.findall(str(said.content))
        self.plays(*[[(tool, {"word": word})] for tool, word in asked], "That is done.")
        async for chunk in super()._astream(messages, *args, **kwargs):
            yield chunk


class Intents:
    """Takes a message for what its first word says."""

    async def classify(self, text: str, vector: NDArray[Any], *, tenant_id: str) -> Guess:
        """Return a question, a need to ask back, or an action."""
        first = text.split()[0].lower()
        named = {"why": Intent.KNOWLEDGE, "hm": Intent.CLARIFY}
        return Guess(named.get(first, Intent.ACTION), 1.0, 1.0)


class Guard(edges.ScriptedGuard):
    """Blocks what begins with "forbidden"."""

    async def check_input(self, text: str, about: About) -> Verdict:
        """Pass, or block."""
        return Verdict(text, (), "blocked" if text.startswith("forbidden") else None)


def furnished(database: Database, remote_url: str) -> Services:
    """Return services with a tool of each kind."""
    intents: Any = Intents()
    guard: Any = Guard()
    found = services(database, Model(), tools(database, remote_url))
    return replace(found, intents=intents, guard=guard)


def tools(database: Database, remote_url: str) -> list[Tool]:
    """Return a tool of each kind."""

    async def book(
        conn: AsyncConnection[TupleRow], asked: Word, caller: Caller, key: str
    ) -> Output:
        reach("before the effect")
        await conn.execute(BOOK, [asked.word])
        reach("after the effect")
        return Output(f"Booked {asked.word}.")

    def post(path: str) -> Any:
        async def run(asked: Word, caller: Caller, key: str) -> Output:
            reach("before the effect")
            async with httpx.AsyncClient(verify=False, trust_env=False) as client:
                try:
                    answer = await client.post(
                        f"{remote_url}/{path}",
                        json={"word": asked.word},
                        headers={"Idempotency-Key": key},
                        timeout=TIMEOUT_SECONDS,
                    )
                except httpx.ConnectError as error:
                    raise RemoteUnreachable from error
            reach("after the effect")
            answer.raise_for_status()
            return Output(f"Sent {asked.word}.")

        return run

    ours = Declaration("internal_write", "keyed", timeout_seconds=TIMEOUT_SECONDS)
    hosts = frozenset({"127.0.0.1"})
    keyed = Declaration("external", "keyed", hosts=hosts, timeout_seconds=TIMEOUT_SECONDS)
    unkeyed = Declaration("external", "none", hosts=hosts, timeout_seconds=TIMEOUT_SECONDS)
    return [
        transactional(database, "book", "Books.", Word, book, ours),
        typed("pay", "Pays.", Word, post("pay"), keyed),
        typed("mail", "Mails.", Word, post("mail"), unkeyed),
    ]
