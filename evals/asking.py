"""A model that asks for tools as it is told, for measurements and tests of what becomes of that."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from numpy.typing import NDArray
from pydantic import PrivateAttr

from core.turn import Intent
from evals.bench import edges
from nodes.intents import Guess
from tgi.embedded.prompt import result

Asked = tuple[str, Mapping[str, Any] | str]  # name of a tool, its arguments
Entry = str | Sequence[str | Asked]
Script = Sequence[Entry]


class AskingModel(edges.ScriptedModel):
    """Goes through its script: each entry is text, or the tools it asks for, with text between.

    Where it stands is told by the conversation alone, as with a real model: so a process that
    takes over gets the same answers. What it was told is kept, newest last.
    """

    _script: Script = PrivateAttr(default=())
    _told: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _offered: list[list[str]] = PrivateAttr(default_factory=list)

    def plays(self, *script: Entry) -> AskingModel:
        """Play this script from now on; its last entry is repeated."""
        self._script = script
        return self

    def script(self, messages: Sequence[BaseMessage]) -> Script:
        """Return the script of a conversation."""
        return self._script

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
        return [result(str(m.content)) for m in self._told[-1] if isinstance(m, ToolMessage)]

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
        script = self.script(messages)
        steps = sum(isinstance(m, AIMessage) and bool(m.tool_calls) for m in messages)
        entry = script[min(steps, len(script) - 1)]
        if not isinstance(entry, str) and not offered:
            entry = "That is as far as I got."
        for place, part in enumerate([entry] if isinstance(entry, str) else entry):
            for message in _said(part) if isinstance(part, str) else _call(part, place):
                yield ChatGenerationChunk(message=message)
        end = AIMessageChunk(
            content="",
            usage_metadata=edges.USAGE,
            response_metadata={"finish_reason": "stop"},
        )
        yield ChatGenerationChunk(message=end)


def _said(text: str) -> Iterator[AIMessageChunk]:
    yield AIMessageChunk(content=text)


def _call(asked: Asked, place: int) -> Iterator[AIMessageChunk]:
    """Yield a call of a tool as servers send it: its arguments come in pieces."""
    name, arguments = asked
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    half = len(text) // 2
    for piece, named in ((text[:half], name), (text[half:], None)):
        chunk = tool_call_chunk(name=named, args=piece, id="0", index=place)
        yield AIMessageChunk(content="", tool_call_chunks=[chunk])


class TaskIntents(edges.ScriptedIntents):
    """Takes everything for a task."""

    async def classify(self, text: str, vector: NDArray[Any], *, tenant_id: str) -> Guess:
        """Return "action"."""
        return Guess(Intent.ACTION, 1.0, 1.0)
