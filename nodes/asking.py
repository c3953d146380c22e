"""Reads an answer of the model as it comes, and lets it leave."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from langchain_core.messages import AIMessageChunk

from core.errors import StreamCut
from nodes.gate import AnswerGate, Stretch
from nodes.release import Release

IGNORANT = re.compile(r"\s*I don['’]t know\b", re.IGNORECASE)  # as the prompts ask for it


@dataclass(slots=True)
class Answer:
    """What a model said, as far as it has come; its text leaves through a gate of its own."""

    gate: AnswerGate
    release: Release
    raw: str = ""
    last: AIMessageChunk | None = None  # with usage and the reason why it ended
    asked: AIMessageChunk | None = None  # the calls of tools, put together
    refusal: str | None = None  # why the rest was not let out
    knows_nothing: bool = False  # it begins with "I don't know", and was listened to for that
    first_token_ms: float | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether it came to nothing: no word has left, and no tool is asked for."""
        return not (self.gate.released.strip() or self.asked or self.refusal)

    async def read(self, stream: AsyncGenerator[AIMessageChunk, None], *, listens: bool) -> None:
        """Read a stream to its end; its text leaves while it comes.

        listens: whether "I don't know" is kept back. Raises ModelError, StreamCut among them;
        what was said until then is in `raw`.
        """
        raw = list[str]()
        began = time.perf_counter()
        try:
            async with aclosing(stream):
                async for chunk in stream:
                    if chunk.tool_call_chunks:
                        self.asked = chunk if self.asked is None else self.asked + chunk
                    if text := str(chunk.content):
                        if self.first_token_ms is None:
                            self.first_token_ms = (time.perf_counter() - began) * 1000
                        raw.append(text)
                        self.refusal = await self._let(self.gate.feed(text), listens=listens)
                        if self.refusal is not None:
                            break
                    if chunk.response_metadata.get("finish_reason") or chunk.usage_metadata:
                        self.last = chunk if self.last is None else self.last + chunk
        finally:
            self.raw = "".join(raw)
        if self.last is None and self.refusal is None:
            raise StreamCut
        if self.refusal is None:
            self.refusal = await self._let(self.gate.finish(), listens=listens)

    async def _let(self, stretches: Sequence[Stretch], *, listens: bool) -> str | None:
        if listens and stretches and not self.release.began and not self.knows_nothing:
            self.knows_nothing = IGNORANT.match(stretches[0].text) is not None
        return None if self.knows_nothing else await self.release.let(stretches)
