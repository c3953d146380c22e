"""Streams an answer of a chat model, as directly as its listeners allow.

LangChain's `astream` tells callback handlers about every chunk, collects the chunks and merges
them at the end for the same handlers. Without handlers that is work for nobody, once per token.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_messages
from langchain_core.runnables.config import ensure_config


async def stream(
    model: BaseChatModel, messages: Sequence[BaseMessage | tuple[str, str]], **parameters: Any
) -> AsyncGenerator[AIMessageChunk, None]:
    """Yield the chunks of the answer; close it to stop the model.

    messages: each as LangChain has it, or as role and text.
    """
    chunks: Any
    if _is_heard(model):
        chunks = model.astream(list(messages), **parameters)
    else:
        chunks = model._astream(convert_to_messages(messages), **parameters)
    async with aclosing(chunks):
        async for chunk in chunks:
            message = chunk if isinstance(chunk, AIMessageChunk) else chunk.message
            assert isinstance(message, AIMessageChunk)
            yield message


def _is_heard(model: BaseChatModel) -> bool:
    """Return whether somebody wants to know: a handler of the model, of the graph, or LangSmith."""
    manager = AsyncCallbackManager.configure(ensure_config().get("callbacks"), model.callbacks)
    return bool(manager.handlers)
