"""What happened to a run, and whether it may have."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from core.errors import ParleyError
from core.events import TERMINAL
from db import audit, events, runs, turns
from db.pool import Database
from tests.faults.crew import Crew
from tests.faults.remote import Remote
from tests.graphs.acting import REVIEWER, pending
from tests.graphs.turns import TENANT
from tools.approvals import Approval
from tools.policy import Policy
from tools.registry import Registry
from tools.reviews import Decision, Reviews

Owner = AsyncConnection[TupleRow]

POLL_SECONDS = 0.02  # how often a row is looked at that another process will change

RUN = "select run_id::text from parley.messages where content = %s and role = 'user'"
STATUS = "select status from parley.runs where run_id = %s"
SAID = "select role, content, abstained from parley.messages where run_id = %s order by seq"
CALLS = """select tool, arguments, status, result, code from parley.tool_calls
            where run_id = %s order by position"""
LEFT = "select count(*) from checkpoints.checkpoints where thread_id = %s"
# Who approved is written down before what is done; the log is a chain, so it cannot lie.
DEEDS = """select c.call_id::text, l.kind from parley.tool_calls c
             join parley.audit_log l on l.subject = c.call_id::text
            where c.run_id = %s order by c.position, l.seq"""
LAPSE = "update parley.runs set lease_expires_at = now() - interval '1 s' where status = 'running'"


@dataclass(frozen=True)
class Story:
    """How a run ended, as its user, its reviewers and its operator see it."""

    status: str
    said: Any
    calls: Any
    logged: Any
    told: list[str]  # the answers and the ends that clients were told of
    checkpoints: int


class Stage:
    """A database, workers, a remote server, and a person who looks at approvals."""

    def __init__(self, crew: Crew, database: Database, remote: Remote, owner: Owner) -> None:
        self.crew = crew
        self.database = database
        self.remote = remote
        self._owner = owner
        self._asking = asyncio.Lock()
        self.reviews = Reviews(database, Registry([]), Policy.load())

    async def ask(self, statement: str, *parameters: Any) -> list[Any]:
        """Return rows, whosever they are."""
        async with self._asking:
            cursor = await self._owner.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def run_of(self, text: str) -> str:
        """Return the run that answers a message, once there is one."""
        while not (rows := await self.ask(RUN, text)):  # noqa: ASYNC110 - others write it
            await asyncio.sleep(POLL_SECONDS)
        return str(rows[0][0])

    async def exists(self, text: str) -> bool:
        """Return whether a message was stored."""
        return bool(await self.ask(RUN, text))

    async def status(self, run_id: str) -> str:
        """Return where a run stands."""
        [(status,)] = await self.ask(STATUS, run_id)
        return str(status)

    async def lapse(self) -> None:
        """Let all leases run out."""
        await self.ask(LAPSE)

    async def booked(self, word: str) -> int:
        """Return how often a word stands in the table of effects."""
        [(count,)] = await self.ask("select count(*) from parley.effects where word = %s", word)
        return int(count)

    async def effects(self, word: str) -> int:
        """Return how often something has really happened, here or there."""
        return self.remote.effects[word] + await self.booked(word)

    async def end(self, text: str) -> str:
        """Return a run once it has ended."""
        run_id = await self.run_of(text)
        await self.stands(run_id, *runs.ENDED)
        return run_id

    async def stands(self, run_id: str, *statuses: str) -> str:
        """Return the status of a run once it is one of these."""
        while (found := await self.status(run_id)) not in statuses:  # noqa: ASYNC110 - the same
            await asyncio.sleep(POLL_SECONDS)
        return found

    @asynccontextmanager
    async def reviewed(self, *, again: bool = True) -> AsyncIterator[list[Approval]]:
        """Approve every action as it is asked for; answer what came of the others truthfully.

        again: let those that have not happened be made again; otherwise leave them.
        Yields the questions about outcomes, as they are answered.
        """
        asked: list[Approval] = []
        task = asyncio.create_task(self._review(asked, again))
        try:
            yield asked
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _review(self, asked: list[Approval], again: bool) -> None:
        while True:
            with suppress(ParleyError):  # the database is away; or a worker has ended the run
                for approval in await pending(self.database):
                    await self._decide(approval, asked, again)
            await asyncio.sleep(POLL_SECONDS)

    async def _decide(self, approval: Approval, asked: list[Approval], again: bool) -> None:
        if approval.kind == "action":
            if await self.status(str(approval.run_id)) != "waiting":
                return  # or the point at which it waits would sometimes not be reached
            decision = Decision("approve", digest=approval.digest)
        elif not again or await self.effects(approval.arguments["word"]):
            decision = Decision("answer", answer="It was sent.")
        else:
            decision = Decision("approve")
        await self.reviews.decide(approval.approval_id, decision, REVIEWER)
        if approval.kind == "outcome":
            asked.append(approval)

    async def story(self, run_id: str, *words: str) -> Story:
        """Return how a run ended; its own words are left out, so that runs can be compared."""
        async with self.database.transaction(TENANT) as conn:
            log = await events.read(conn, UUID(run_id), after=0)
        numbers = [event.seq for event in log]
        assert numbers == sorted(set(numbers))
        kinds = [event.type for event in log]
        assert sum(kind in TERMINAL for kind in kinds) == 1
        assert kinds[-1] in TERMINAL
        [(left,)] = await self.ask(LEFT, run_id)
        async with self.database.transaction(TENANT) as conn:
            turn = await turns.get(conn, UUID(run_id))
        outcomes = [action["result"] and action["result"]["status"] for action in turn.actions]
        found: list[Any] = [
            *[await self.ask(statement, run_id) for statement in (SAID, CALLS)],
            [[outcomes]],
        ]
        text = json.dumps(found)
        for word in words:
            text = text.replace(word, "*")
        said, calls, logged = json.loads(text)
        told: list[str] = [kind for kind in kinds if kind == "message.finished" or kind in TERMINAL]
        return Story(await self.status(run_id), said, calls, logged, told, left)

    async def permitted(self, run_id: str) -> None:
        """Assert that nothing was done before somebody had approved it."""
        approved: Counter[str] = Counter()
        for call_id, kind in await self.ask(DEEDS, run_id):
            approved[call_id] += kind == "approval.approved"
            if kind in ("action.started", "action.done"):
                assert approved[call_id] > 0, f"{kind} of a call that nobody had approved"

    async def chained(self) -> None:
        """Assert that the audit log is whole."""
        async with self.database.transaction(TENANT) as conn:
            assert not (await audit.verify(conn)).fault
