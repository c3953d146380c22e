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
from safety.leaving import Leaving
from safety.masking import OPEN, Masks

IGNORANT = re.compile(r"\s*I don['’]t know\b", re.IGNORECASE)  # as the prompts ask for it


@dataclass(slots=True)
class Answer:
    """What a model said, as far as it has come; its text leaves through a gate of its own."""

    safe: Leaving  # what it says passes the checks first
    gate: AnswerGate
    release: Release
    masks: Masks = OPEN  # what the model was shown in place of personal data
    raw: str = ""
    last: AIMessageChunk | None = None  # with usage and the reason why it ended
    asked: AIMessageChunk | None = None  # the calls of tools, put together
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
                        stretches = self.gate.feed(self.safe.feed(text))
                        await self._let(stretches, listens=listens)
                        if self.refusal is not None:
                            break
                    if chunk.response_metadata.get("finish_reason") or chunk.usage_metadata:
                        self.last = chunk if self.last is None else self.last + chunk
        finally:
            self.raw = "".join(raw)
        if self.last is None and self.refusal is None:
            raise StreamCut
        if self.refusal is None:
            last = self.gate.feed(self.safe.finish())
            await self._let([*last, *self.gate.finish()], listens=listens)

    @property
    def refusal(self) -> str | None:
        """Return which check has stopped the answer; None when none has."""
        return self.safe.blocked

    async def _let(self, stretches: Sequence[Stretch], *, listens: bool) -> None:
        if listens and stretches and not self.release.began and not self.knows_nothing:
            self.knows_nothing = IGNORANT.match(stretches[0].text) is not None
        if not self.knows_nothing:
            await self.release.let(stretches)
