"""Streaming past LangChain's bookkeeping, unless somebody listens."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackHandler

from evals.bench.edges import WORDS, ScriptedModel
from tgi.stream import stream


class Listening(AsyncCallbackHandler):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.ended = 0

    async def on_llm_new_token(self, token: Any, **_: Any) -> None:
        """Note a token."""
        self.tokens.append(str(token))

    async def on_llm_end(self, *_: Any, **__: Any) -> None:
        """Note the end."""
        self.ended += 1


async def test_the_answer_comes_whole() -> None:
    """Every chunk comes, the last one with what the answer cost."""
    chunks = [chunk async for chunk in stream(ScriptedModel(), [("user", "Why?")])]
    assert "".join(str(chunk.content) for chunk in chunks) == "".join(WORDS)
    assert chunks[-1].usage_metadata is not None


async def test_handlers_hear_every_token() -> None:
    """Who listens to the model still hears all of it."""
    heard = Listening()
    model = ScriptedModel(callbacks=[heard])
    said = [str(chunk.content) async for chunk in stream(model, [("user", "Why?")])]
    assert "".join(said) == "".join(WORDS)
    assert "".join(heard.tokens).startswith("".join(WORDS[:1]))
    assert heard.ended == 1
