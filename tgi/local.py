"""The extractive model in this very process: what answers when no server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from pydantic import ConfigDict, Field, PrivateAttr

from core.errors import ModelOverloaded, ModelUnavailable, ParleyError
from core.turn import ModelRecord
from tgi.embedded.model import Model
from tgi.messages import to_wire
from tgi.profiles import TGI
from tgi.streamed import StreamedChatModel

# It takes processor time from everything else that this process does, when all turns want it.
AT_ONCE = 2
QUEUE = 16  # those who are being answered among them; one more is told at once


class LocalModel(StreamedChatModel):
    """Quotes its sources, and calls no tools.

    Raises ModelUnavailable when it cannot, ModelOverloaded when too many want it.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    make: Callable[[], Model] = Field(exclude=True, repr=False)  # it loads files: when asked first

    _model: Model | None = PrivateAttr(None)
    _turn: asyncio.Semaphore = PrivateAttr(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _waiting: int = PrivateAttr(0)

    async def info(self) -> ModelRecord:
        """Return which model this is."""
        model = await self._loaded()
        return ModelRecord(name=model.name, version=model.version, server="in process")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        wire = to_wire(messages, TGI)
        if self._waiting >= QUEUE:
            raise ModelOverloaded
        self._waiting += 1
        try:
            async with self._turn:
                model = await self._loaded()
                reply = await model.chat(wire)
        except (ParleyError, ValueError) as error:
            raise ModelUnavailable("The model of this process failed too.") from error
        finally:
            self._waiting -= 1
        text = reply.text or ""
        asked = sum(len(model.tokens(str(said.get("content") or ""))) for said in wire)
        told = len(model.tokens(text))
        message = AIMessageChunk(
            content=text,
            usage_metadata=UsageMetadata(
                input_tokens=asked, output_tokens=told, total_tokens=asked + told
            ),
            response_metadata={"finish_reason": reply.finish_reason, "model_name": model.name},
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=message)

    @property
    def _llm_type(self) -> str:
        return "parley-local"

    async def _loaded(self) -> Model:
        if self._model is None:
            self._model = await asyncio.to_thread(self.make)
        return self._model
