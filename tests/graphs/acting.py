"""A model that asks for tools as it is told, and services that have some."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from numpy.typing import NDArray
from pydantic import PrivateAttr

from core.turn import Intent
from db.pool import Database
from evals.bench import edges
from nodes.context import Services
from nodes.intents import Guess
from tests.graphs.turns import TENANT, services
from tools import approvals
from tools.approvals import Approval, Wanted
from tools.policy import Policy
from tools.registry import Registry
from tools.reviews import Choice, Decision, Reviews
from tools.tool import Caller, Tool

REVIEWER = Caller(TENANT, "rita", roles=frozenset({"reviewer"}))
Asked = tuple[str, Mapping[str, Any] | str]  # name of a tool, its arguments


class AskingModel(edges.ScriptedModel):
    """Goes through its script: each entry is text, or the tools it asks for at once.

    Where it stands is told by the conversation alone, as with a real model: so a process that
    takes over gets the same answers. What it was told is kept, newest last.
    """

    _script: Sequence[str | Sequence[Asked]] = PrivateAttr(default=())
    _told: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _offered: list[list[str]] = PrivateAttr(default_factory=list)

    def plays(self, *script: str | Sequence[Asked]) -> AskingModel:
        """Play this script from now on; its last entry is repeated."""
        self._script = script
        return self

    @property
    def told(self) -> list[list[BaseMessage]]:
        """The messages of each request."""
        return self._told

    @property
    def offered(self) -> list[list[str]]:
        """The names of the tools that each request offered."""
        return self._offered

    @property
    def results(self) -> list[str]:
        """What the newest request said about the calls before it."""
        return [str(m.content) for m in self._told[-1] if isinstance(m, ToolMessage)]

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        self._told.append(messages)
        offered = [tool["function"]["name"] for tool in kwargs.get("tools", [])]
        self._offered.append(offered)
        steps = sum(isinstance(m, AIMessage) and bool(m.tool_calls) for m in messages)
        entry = self._script[min(steps, len(self._script) - 1)]
        if not isinstance(entry, str) and not offered:
            entry = "That is as far as I got."
        if isinstance(entry, str):
            yield ChatGenerationChunk(message=AIMessageChunk(content=entry))
        else:
            for place, (name, arguments) in enumerate(entry):
                text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                half = len(text) // 2  # servers send arguments in pieces
                for piece, first in ((text[:half], True), (text[half:], False)):
                    chunk = tool_call_chunk(
                        name=name if first else None, args=piece, id="0", index=place
                    )
                    message = AIMessageChunk(content="", tool_call_chunks=[chunk])
                    yield ChatGenerationChunk(message=message)
        end = AIMessageChunk(
            content="",
            usage_metadata=edges.USAGE,
            response_metadata={"finish_reason": "stop"},
        )
        yield ChatGenerationChunk(message=end)


class TaskIntents(edges.ScriptedIntents):
    """Takes everything for a task."""

    async def classify(self, text: str, vector: NDArray[Any], *, tenant_id: str) -> Guess:
        """Return "action"."""
        return Guess(Intent.ACTION, 1.0, 1.0)


def acting(
    database: Database, model: AskingModel, tools: Iterable[Tool], policy: Policy | None = None
) -> Services:
    """Return services whose user wants something done."""
    intents: Any = TaskIntents()
    return replace(services(database, model, tools, policy), intents=intents)


async def pending(database: Database, tenant_id: str = TENANT) -> list[Approval]:
    """Return the approvals that wait, with their evidence, oldest first."""
    async with database.transaction(tenant_id) as conn:
        found = await approvals.page(conn, Wanted(), limit=100)
        return [await approvals.get(conn, one.approval_id) for one in found]


async def decide(
    used: Services, approval_id: UUID, choice: Choice, by: Caller = REVIEWER, **more: Any
) -> Approval:
    """Decide an approval as a reviewer."""
    reviews = Reviews(used.database, used.tools, used.policy)
    return await reviews.decide(approval_id, Decision(choice, **more), by)


def registry(tools: Iterable[Tool]) -> Registry:
    """Return a registry of these tools."""
    return Registry(tools)
