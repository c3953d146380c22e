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
    """What the model said, once the stream has ended."""

    raw: str = ""
    last: AIMessageChunk | None = None  # with usage and the reason why it ended
    asked: AIMessageChunk | None = None  # the calls of tools, put together
    refusal: str | None = None  # why the rest was not let out
    knows_nothing: bool = False  # it begins with "I don't know", and was listened to for that
    first_token_ms: float | None = None

    @classmethod
    async def read(
        cls,
        stream: AsyncGenerator[AIMessageChunk, None],
        gate: AnswerGate,
        release: Release,
        *,
        listens: bool,
    ) -> Answer:
        """Return the answer of a stream; its text leaves while it comes.

        listens: whether "I don't know" is kept back. Raises ModelError, StreamCut among them.
        """
        answer, raw = cls(), list[str]()
        began = time.perf_counter()
        async with aclosing(stream):
            async for chunk in stream:
                if chunk.tool_call_chunks:
                    answer.asked = chunk if answer.asked is None else answer.asked + chunk
                if text := str(chunk.content):
                    if answer.first_token_ms is None:
                        answer.first_token_ms = (time.perf_counter() - began) * 1000
                    raw.append(text)
                    answer.refusal = await answer._let(gate.feed(text), release, listens=listens)
                    if answer.refusal is not None:
                        break
                if chunk.response_metadata.get("finish_reason") or chunk.usage_metadata:
                    answer.last = chunk if answer.last is None else answer.last + chunk
        if answer.refusal is None:
            answer.refusal = await answer._let(gate.finish(), release, listens=listens)
        answer.raw = "".join(raw)
        if answer.last is None and answer.refusal is None:
            raise StreamCut
        return answer

    async def _let(
        self, stretches: Sequence[Stretch], release: Release, *, listens: bool
    ) -> str | None:
        if listens and stretches and not release.began and not self.knows_nothing:
            self.knows_nothing = IGNORANT.match(stretches[0].text) is not None
        return None if self.knows_nothing else await release.let(stretches)
