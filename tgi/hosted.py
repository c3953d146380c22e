"""Models of hosted providers, through LangChain's own classes, with our errors.

Each provider is an extra: `pip install -r` the classes only where they are wanted.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import ConfigDict, Field, PrivateAttr

from core.errors import (
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    SettingsInvalid,
    StreamCut,
    UnsupportedParameter,
)
from core.turn import ModelRecord
from tgi.streamed import StreamedChatModel

Provider = Literal["openai", "azure", "anthropic"]
# Package, its class, and the extra of ours that brings it.
_CLASSES: Mapping[Provider, tuple[str, str, str]] = {
    "openai": ("langchain_openai", "ChatOpenAI", "openai"),
    "azure": ("langchain_openai", "AzureChatOpenAI", "openai"),
    "anthropic": ("langchain_anthropic", "ChatAnthropic", "anthropic"),
}
# What a provider calls the end of an answer.
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TOOLS = frozenset({"tools", "tool_choice"})
_COMMON = frozenset({"temperature", "top_p", "max_tokens"})
_OPENAI = _COMMON | {"seed", "frequency_penalty", "presence_penalty"}
_TAKEN: Mapping[Provider, frozenset[str]] = {
    "openai": _OPENAI,
    "azure": _OPENAI,
    "anthropic": _COMMON,
}
_SHOWN = 300  # characters of a provider's own sentence
_SILENT = frozenset({408, 504})
_BUSY = frozenset({429, 529})


class HostedModel(StreamedChatModel):
    """A provider's chat model that fails with our errors and notices a stream without its end."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: BaseChatModel = Field(exclude=True, repr=False)
    provider: Provider
    model_name: str

    _answered_by: str = PrivateAttr("")

    async def info(self) -> ModelRecord:
        """Return which model answered last; before that, the one that is asked for."""
        name = self._answered_by or self.model_name
        return ModelRecord(name=name, version="", server=self.provider)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        reason = ""
        wanted = self._wanted(kwargs)
        with translated():
            chunks: Any = self.inner._astream(messages, stop=stop, **wanted)
            async with aclosing(chunks):
                async for chunk in chunks:
                    told = {**(chunk.generation_info or {}), **chunk.message.response_metadata}
                    reason = str(told.get("finish_reason") or told.get("stop_reason") or reason)
                    self._answered_by = str(told.get("model_name") or self._answered_by)
                    if (message := _plain(chunk.message)) is not None:
                        yield ChatGenerationChunk(message=message)
        if not reason:
            raise StreamCut
        end = {"finish_reason": _REASONS.get(reason, reason), "model_name": self._answered_by}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=end))

    def _wanted(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters as this provider takes them; raises UnsupportedParameter."""
        taken = _TAKEN[self.provider]
        if unknown := given.keys() - taken - _TOOLS:
            names = ", ".join(sorted(unknown))
            raise UnsupportedParameter(f"{self.provider} has no parameter {names}.")
        wanted = {name: given[name] for name in taken & given.keys()}
        if tools := given.get("tools"):
            bound: Any = self.inner.bind_tools(tools, tool_choice=given.get("tool_choice", "auto"))
            wanted |= bound.kwargs
        return wanted

    @property
    def _llm_type(self) -> str:
        return f"parley-{self.provider}"


def hosted(
    provider: Provider,
    *,
    name: str,
    key: str,
    max_tokens: int,
    seconds: float,
    options: Mapping[str, Any] | None = None,
) -> HostedModel:
    """Return a provider's model; raises SettingsInvalid without its extra.

    seconds: for a whole answer. options: what else its class takes, as `azure_endpoint`.
    """
    package, cls, extra = _CLASSES[provider]
    try:
        made = getattr(importlib.import_module(package), cls)
    except ImportError as error:
        raise SettingsInvalid(
            f"Models of {provider} need the extra {extra}: pip install {package}."
        ) from error
    given = {"model": name, "api_key": key, "max_tokens": max_tokens, "timeout": seconds}
    if provider != "anthropic":
        given["stream_usage"] = True
    # Tried again by us, where it is known whether a token was shown.
    inner = made(**given, max_retries=0, **(options or {}))
    return HostedModel(inner=inner, provider=provider, model_name=name)


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors for those of a provider's client, which both makers generate alike."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if (ours := translate(error)) is None:
            raise
        raise ours from error


def translate(error: Exception) -> ModelError | None:
    """Return our error for one of a provider's client, None for what is none of it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status_code", None)
    if "APITimeoutError" in names or status in _SILENT:
        return ModelTimeout()
    if "APIConnectionError" in names:
        return ModelUnavailable()
    if isinstance(status, int):
        if status in _BUSY:
            return ModelOverloaded()
        if status in (401, 403):
            return ModelRejected("The provider refused the key.", hint="Check api_key_env.")
        said = f"The provider answered {status}: {str(getattr(error, 'message', ''))[:_SHOWN]}"
        return ModelRejected(said) if status < 500 else ModelUnavailable(said)
    if "APIError" in names:  # reported inside a stream
        return ModelUnavailable("The provider failed in the middle of its answer.")
    module = type(error).__module__
    return StreamCut() if module.startswith(("httpx", "httpcore")) else None


def _plain(message: BaseMessage) -> AIMessageChunk | None:
    """Return a chunk with its text, calls and usage alone; None when it has none of them."""
    assert isinstance(message, AIMessageChunk)
    text = str(message.text)
    if not (text or message.tool_call_chunks or message.usage_metadata):
        return None
    return AIMessageChunk(
        content=text,
        tool_call_chunks=message.tool_call_chunks,
        usage_metadata=message.usage_metadata,
    )
