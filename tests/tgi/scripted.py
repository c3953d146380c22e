"""A model whose answers are scripted, and real servers to put it behind."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from tgi.embedded.model import Reply, TokenSpan, ToolCall
from tgi.embedded.serve import Closable

WORD = re.compile(r"\w+|[^\w\s]")


class ScriptedModel:
    """Says the same sentence, unless a script says otherwise."""

    name = "parley-extractive"
    version = "1"

    def __init__(self, script: Callable[..., Reply] | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.gate = asyncio.Event()  # closed, a question waits
        self.gate.set()
        self._script = script

    async def chat(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        tool_choice: str = "auto",
        response_schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Reply:
        """Answer as scripted; a schema gets an object, a required tool gets called."""
        self.asked.append({"messages": list(messages), "tools": tools, "choice": tool_choice})
        await self.gate.wait()
        if self._script is not None:
            return self._script(messages=messages, tools=tools, schema=response_schema)
        if response_schema is not None:
            return Reply(text='{"city":"Warsaw","since":1596}')
        if tools and tool_choice != "auto":
            return Reply(tool_calls=(ToolCall("weather", {"city": "Warsaw", "days": 3}),))
        return Reply(text="Warsaw became the capital\nin 1596 [1]. Żółw! ")

    async def generate(
        self, prompt: str, *, grammar: dict[str, Any] | None = None, max_tokens: int | None = None
    ) -> Reply:
        """Continue as scripted."""
        self.asked.append({"prompt": prompt, "grammar": grammar})
        await self.gate.wait()
        if self._script is not None:
            return self._script(prompt=prompt, grammar=grammar)
        return Reply(text='{"city":"Warsaw"}' if grammar else " and so it goes on.")

    def tokens(self, text: str) -> list[TokenSpan]:
        """Return words and punctuation as tokens."""
        return [TokenSpan(1000 + len(m[0]), m[0], m.start(), m.end()) for m in WORD.finditer(text)]


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI app on a free port of this machine; gives its base URL."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        bound.listen(64)  # from here on a client may connect and wait
        config = uvicorn.Config(
            app,
            http=Closable,
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await task
