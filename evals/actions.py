"""Do gold actions happen, each once and none unapproved?

The tasks of tau-bench (retail) are replayed: a scripted model asks for their gold actions, which go
through registry, policy, approval and ledger of a real turn in a real database. A reviewer approves
whatever is asked. What is measured is the road of an action, not a model's choice of it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from langchain_core.messages import BaseMessage, HumanMessage
from pydantic import PrivateAttr

from core.events import Event
from core.telemetry import NullTracer
from db import audit
from db.embedded import embedded_postgres
from db.migrate import migrate
from db.pool import Database
from evals import retail
from evals.asking import AskingModel, Script, TaskIntents
from evals.bench import edges
from evals.retail import Store
from evals.spread import share
from graphs.runner import Pace, Runner
from nodes.context import Limits
from tools import ledger
from tools.ledger import Call
from tools.reviews import Decision, Reviews
from tools.tool import Caller

TENANT = "default"
REVIEWER = Caller(TENANT, "reviewer", roles=frozenset({"reviewer"}))
AT_ONCE = 4
LIMITS = Limits(steps=100, calls=100, repeats=100)


@dataclass(frozen=True, slots=True)
class Task:
    """One task: what its user wants, and what should be done about it."""

    id: str
    instruction: str
    actions: Sequence[tuple[str, Mapping[str, Any]]]

    @property
    def text(self) -> str:
        """What the user says."""
        return f"{self.instruction} ({self.id})"

    @property
    def script(self) -> Script:
        """One step of the model an action, then a sentence."""
        return [*([action] for action in self.actions), "That is done."]


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a task."""

    calls: Sequence[Call]
    effects: Counter[str]  # what happened in the shop: tool and arguments
    wanted: Counter[str]
    approved: frozenset[str]  # calls that somebody had approved before they happened
    ended: str  # the last event

    @property
    def once(self) -> bool:
        """Every gold action was made exactly once, and nothing else happened.

        Some cannot succeed: the set's own data says that a gift card does not cover them.
        """
        told = Counter(written(c.tool, c.arguments) for c in self.calls if c.status == "refused")
        made = Counter(written(c.tool, c.arguments) for c in self.calls)
        return made == self.wanted and self.effects == self.wanted - told

    @property
    def unapproved(self) -> int:
        """How many effects nobody had approved."""
        acted = [c for c in self.calls if c.effect != "none" and c.status in ("done", "unknown")]
        return sum(str(call.call_id) not in self.approved for call in acted)


async def run(data: Path, *, sample: int | None = None) -> dict[str, Any]:
    """Replay the tasks in `data` and return the report."""
    folder = data / "tau_bench" if (data / "tau_bench").is_dir() else data
    found = tasks(folder)[: sample or None]
    schemas = [one for one in _lines(folder / "tools.jsonl") if one["env"] == "retail"]
    store = await asyncio.to_thread(Store.load, folder)
    stores = {task.id: store.fresh() for task in found}
    model = TasksModel({task.text: task for task in found})
    with tempfile.TemporaryDirectory(prefix="parley-eval-") as name:
        async with embedded_postgres(Path(name)) as postgres:
            await migrate(postgres.admin_url)
            async with Database.open(postgres.url) as database:
                tools = retail.tools(stores, schemas)
                services = edges.services(database, model, tools, intents=TaskIntents())
                async with Runner(services, LIMITS, Pace(), NullTracer()) as runner:
                    places = asyncio.Semaphore(AT_ONCE)
                    played = await asyncio.gather(
                        *(play(task, stores[task.id], runner, places) for task in found)
                    )
                async with database.transaction(TENANT) as conn:
                    chain = await audit.verify(conn)
    return summary(played, chain.fault)


class TasksModel(AskingModel):
    """Plays to each task its own script."""

    _by_text: Mapping[str, Task] = PrivateAttr(default_factory=dict)

    def __init__(self, by_text: Mapping[str, Task]) -> None:
        super().__init__()
        self._by_text = by_text

    def script(self, messages: Sequence[BaseMessage]) -> Script:
        """Return the script of the task that the user's message names."""
        [said] = [str(m.content) for m in messages if isinstance(m, HumanMessage)]
        return self._by_text[said].script


def tasks(folder: Path) -> list[Task]:
    """Return the tasks that have gold actions."""
    found = [
        Task(
            row["id"],
            row["instruction"],
            [(action["name"], action["kwargs"]) for action in row["actions"]],
        )
        for row in _lines(folder / "tasks.jsonl")
    ]
    return [task for task in found if task.actions]


async def play(task: Task, store: Store, runner: Runner, places: asyncio.Semaphore) -> Played:
    """Run one task to its end, approving whatever is asked."""
    services = runner.services
    database = services.database
    reviews = Reviews(database, services.tools, services.policy)
    last = Event(0, "run.started", {})
    async with places:
        started = await runner.start(
            tenant_id=TENANT, user_id=task.id, thread_id=None, text=task.text
        )
        tail = runner.tail(tenant_id=TENANT, thread_id=started.thread_id, run_id=started.run_id)
        async for last in tail:
            if last.type == "run.waiting":
                asked = UUID(last.data["approval_id"])
                await reviews.decide(asked, Decision("approve"), REVIEWER)
    async with database.transaction(TENANT) as conn:
        calls = await ledger.of_run(conn, UUID(started.run_id))
        approved = [
            str(call.call_id)
            for call in calls
            if _in_order(await audit.entries(conn, subject=str(call.call_id)))
        ]
    effects = Counter(written(done.tool, done.arguments) for done in store.done)
    wanted = Counter(written(name, arguments) for name, arguments in task.actions)
    return Played(calls, effects, wanted, frozenset(approved), last.type)


def written(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return a call as one string, to count equal ones."""
    return f"{tool} {json.dumps(arguments, sort_keys=True)}"


def summary(played: Sequence[Played], fault: str) -> dict[str, Any]:
    """Return the report: shares of tasks, counts of actions."""
    calls = [call for one in played for call in one.calls]
    told = Counter(call.result or "" for call in calls if call.status != "done")
    doubles = sum(sum((one.effects - one.wanted).values()) for one in played)
    statuses = Counter(call.status for call in calls)
    return {
        "tasks_made_once": share([one.once for one in played]),
        "actions": {
            "gold": sum(sum(one.wanted.values()) for one in played),
            "done": sum(sum((one.effects & one.wanted).values()) for one in played),
            "doubled_or_other": doubles,
            "unapproved": sum(one.unapproved for one in played),
            "by_status": dict(statuses),
            "refusals": dict(told.most_common(5)),
        },
        "turns_ended": dict(Counter(one.ended for one in played)),
        "audit_chain": fault or "holds",
    }


def _in_order(entries: Iterable[audit.Entry]) -> bool:
    """Return whether a call was approved before it was made."""
    kinds = [entry.kind for entry in entries]
    if "approval.approved" not in kinds:
        return False
    first = next((kinds.index(k) for k in ("action.started", "action.done") if k in kinds), None)
    return first is None or kinds.index("approval.approved") < first


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
