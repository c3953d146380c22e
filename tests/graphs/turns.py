"""Services for turns without a model server: real Postgres, scripted outer edges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from core.events import Event
from db.keys import RequestKey
from evals.asking import AskingModel
from evals.bench import edges
from evals.bench.edges import services as services
from graphs.admission import Multitask, StartedRun
from graphs.runner import Pace, Runner
from tools.tool import Arguments, Caller, Declaration, Output, Tool

TENANT = "default"
QUICK = Pace(lease_seconds=0.6, heartbeat_seconds=0.1, flush_seconds=0.02)


class GatedModel(edges.ScriptedModel):
    """Streams two sentences; waits before the second until `go` is set; may fail instead."""

    _go: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _asked: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _error: Exception | None = PrivateAttr(default=None)

    @property
    def go(self) -> asyncio.Event:
        """Set it to let the model go on."""
        return self._go

    @property
    def asked(self) -> asyncio.Event:
        """Set when the model has sent its first sentence."""
        return self._asked

    def fail_with(self, error: Exception) -> None:
        """Raise this after the first sentence."""
        self._error = error
        self._go.set()

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        yield ChatGenerationChunk(message=AIMessageChunk(content="Water is wet [1]. And "))
        self._asked.set()
        await self._go.wait()
        if self._error is not None:
            raise self._error
        end = AIMessageChunk(
            content="it is blue [2].",
            usage_metadata=edges.USAGE,
            response_metadata={"finish_reason": "stop"},
        )
        yield ChatGenerationChunk(message=end)


async def _send(arguments: Arguments, caller: Caller, key: str) -> Output:
    return Output(f"Sent to {arguments['to']}.")


# It changes something, so the policy asks a person first.
LETTER = Tool(
    name="send_letter",
    description="Send a letter to somebody.",
    schema={
        "type": "object",
        "properties": {"to": {"type": "string"}},
        "required": ["to"],
        "additionalProperties": False,
    },
    declaration=Declaration(effect="internal_write", idempotency="keyed"),
    run=_send,
)


def writing() -> AskingModel:
    """Return a model that says a sentence and asks for `send_letter`, and later that it is done."""
    return AskingModel().plays(["I will see.", ("send_letter", {"to": "Ada"})], "It is done.")


async def begin(
    runner: Runner,
    text: str = "Why?",
    thread_id: str | None = None,
    multitask: Multitask = "enqueue",
    key: RequestKey | None = None,
) -> StartedRun:
    """Start a run."""
    return await runner.start(
        tenant_id=TENANT,
        user_id="local",
        thread_id=thread_id,
        text=text,
        multitask=multitask,
        key=key,
    )


async def events(runner: Runner, run: StartedRun, after: int = 0) -> list[Event]:
    """Return the events of a run until its end."""
    return [
        event
        async for event in runner.tail(
            tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id, after=after
        )
    ]
