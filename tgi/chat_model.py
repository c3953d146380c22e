"""The chat model: LangChain's interface over an OpenAI-compatible model server.

Why not langchain-openai: docs/decisions/0006-chat-model.md.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SkipValidation

from core.errors import AnswerMisfit, ModelError, UnsupportedParameter
from core.settings import ModelSettings
from core.turn import ModelRecord
from tgi.adapters import Adapter, asking
from tgi.client import Client, Server, Timeouts, pool
from tgi.identity import identify
from tgi.messages import choice_to_wire, to_wire, tool_to_wire
from tgi.profiles import PROFILES, TGI, Profile
from tgi.reading import Reading, whole
from tgi.streamed import StreamedChatModel
from tgi.structured import parse, response_format, schema_of

_PASSED = frozenset({"temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"})
_INFO_SECONDS = 300.0  # a server may be replaced under its address


@asynccontextmanager
async def connect(
    settings: ModelSettings, *, url: str, http: httpx.AsyncClient | None = None
) -> AsyncIterator[TgiChatModel]:
    """Give the chat model for the server at `url`.

    http: a client to share; without one the model has its own, closed at the end.
    """
    timeouts = Timeouts.of(settings)
    own = http or pool(url, timeouts)
    try:
        yield TgiChatModel(
            client=Client(
                own,
                url,
                api_key=settings.api_key.get_secret_value() if settings.api_key else None,
                timeouts=timeouts,
            ),
            dialect=PROFILES[settings.profile],
            model_name=settings.name,
            max_tokens=settings.max_output_tokens,
        )
    finally:
        if http is None:
            await own.aclose()


class TgiChatModel(StreamedChatModel):
    """Streams answers of TGI, vLLM, llama.cpp's server or OpenAI; async only.

    Call parameters: temperature, top_p, seed, frequency_penalty, presence_penalty, max_tokens
    (or max_completion_tokens), stop, tools, tool_choice, and response_schema, a JSON schema
    that the answer's text fits.
    The last chunk has `usage_metadata` and, in `response_metadata`, `finish_reason`
    (stop, length, tool_calls, content_filter), `model_name` and `system_fingerprint`.
    Raises ModelUnavailable, ModelOverloaded, ModelTimeout, ModelRejected, StreamCut,
    AdapterMissing, and UnsupportedParameter before anything is sent.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: SkipValidation[Server] = Field(exclude=True, repr=False)
    dialect: Profile = TGI
    model_name: str = "tgi"
    max_tokens: int = 512
    adapter: Adapter | None = None  # LoRA adapter on the base model that `model_name` names

    _record: ModelRecord | None = PrivateAttr(None)
    _record_until: float = PrivateAttr(0.0)
    _fingerprint: str = PrivateAttr("")
    _answered_by: str = PrivateAttr("")
    _adapting: dict[str, Any] | None = PrivateAttr(None)

    async def info(self, *, refresh: bool = False) -> ModelRecord:
        """Return which model really answers, as the server says; cached for five minutes.

        A new fingerprint in an answer ends the cache early. When the server cannot be asked,
        what it said last, in its /info or in an answer, stands; raises ModelError only when
        it never said anything.
        """
        if self._record is not None and not refresh and time.monotonic() < self._record_until:
            return self._record
        try:
            record = await identify(self.client, self.dialect) or self._from_answer()
        except ModelError:
            if self._record is None and not self._answered_by:
                raise
            return self.known()
        self._record = record
        # Before the first answer there may be nothing to remember yet.
        self._record_until = time.monotonic() + (_INFO_SECONDS if record["version"] else 0.0)
        return record

    def known(self) -> ModelRecord:
        """Return which model answers as far as that was ever said, without asking."""
        return self._record or self._from_answer()

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return this model with tools it may call.

        tool_choice: "auto", "none", "required" (also "any" and True), or a tool's name.
        """
        kwargs["tools"] = [tool_to_wire(tool, self.dialect) for tool in tools]
        if tool_choice is not None:
            kwargs["tool_choice"] = choice_to_wire(tool_choice)
        return self.bind(**kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        method: Literal["json_schema", "function_calling"] = "json_schema",
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Return this model answering in the shape of `schema`, as LangChain defines it.

        schema: a pydantic class, whose instances come back, or a TypedDict or a JSON schema,
        which give a dict; checked either way. Raises AnswerMisfit when the answer does not fit.
        method: the server holds the model to the schema, or the answer is a call of one tool.
        include_raw: give {"raw", "parsed", "parsing_error"}, and raise no AnswerMisfit.
        """
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        if kwargs:
            raise UnsupportedParameter(f"Unsupported parameter: {', '.join(sorted(kwargs))}.")

        async def read(answer: AIMessage) -> Any:
            try:
                cut = answer.response_metadata["finish_reason"] == "length"
                parsed = parse(schema, str(answer.text), cut=cut)
            except AnswerMisfit as error:
                if not include_raw:
                    raise
                return {"raw": answer, "parsed": None, "parsing_error": error}
            if not include_raw:
                return parsed
            return {"raw": answer, "parsed": parsed, "parsing_error": None}

        return self.bind(response_schema=schema_of(schema)) | RunnableLambda(read)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        payload = self._payload(messages, stop, kwargs)
        payload |= await self._adapted()
        payload |= {"stream": True, "stream_options": {"include_usage": True}}
        reading = Reading(offered=_offered(payload))
        async with aclosing(self.client.stream(payload)) as batches:
            async for frames in batches:
                # Frames that arrived together leave together: nothing waits, and a message
                # object costs more than everything else about a token.
                text, calls = reading.feed(frames)
                if text or calls:
                    yield _chunk(AIMessageChunk(content=text, tool_call_chunks=calls))
        rest = reading.finish()
        self._note(reading.model, reading.fingerprint)
        yield _chunk(
            AIMessageChunk(
                content=rest.text,
                tool_call_chunks=rest.calls,
                usage_metadata=reading.usage,
                response_metadata=_metadata(
                    reading.finish_reason, reading.model, reading.fingerprint
                ),
                chunk_position="last",
            )
        )

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = self._payload(messages, stop, kwargs) | await self._adapted()
        answer = whole(await self.client.ask(payload), offered=_offered(payload))
        self._note(answer.model, answer.fingerprint)
        message = AIMessage(
            content=answer.text,
            tool_calls=answer.calls,
            invalid_tool_calls=answer.invalid_calls,
            usage_metadata=answer.usage,
            response_metadata=_metadata(answer.finish_reason, answer.model, answer.fingerprint),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _payload(
        self, messages: list[BaseMessage], stop: list[str] | None, wanted: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the request, free of what this server would refuse or misunderstand."""
        wanted = {k: v for k, v in wanted.items() if v is not None and k != "stream"}
        limit = wanted.pop("max_tokens", None) or wanted.pop("max_completion_tokens", None)
        wanted.pop("max_completion_tokens", None)
        payload: dict[str, Any] = {
            "model": self.model_name,
            "messages": to_wire(messages, self.dialect),
            self.dialect.limit_key: limit or self.max_tokens,
        }
        if stop:
            if self.dialect.max_stop is not None and len(stop) > self.dialect.max_stop:
                raise UnsupportedParameter(f"At most {self.dialect.max_stop} stop sequences.")
            payload["stop"] = stop
        if tools := wanted.pop("tools", None):
            payload["tools"] = tools
            payload["tool_choice"] = choice_to_wire(wanted.pop("tool_choice", "auto"))
            if self.dialect.tool_prompt and isinstance(messages[-1], ToolMessage):
                payload["tool_prompt"] = " "  # TGI's own would ask for another call, endlessly
        wanted.pop("tool_choice", None)
        if (schema := wanted.pop("response_schema", None)) is not None:
            if tools and not self.dialect.schema_beside_tools:
                raise UnsupportedParameter("An answer has a schema or tools here, not both.")
            payload["response_format"] = response_format(schema, self.dialect)
        if unknown := wanted.keys() - _PASSED:
            raise UnsupportedParameter(f"Unsupported parameter: {', '.join(sorted(unknown))}.")
        if self.dialect.top_p_below_one and wanted.get("top_p", 0.0) >= 1.0:
            wanted.pop("top_p")
        if not self.dialect.presence_penalty:
            wanted.pop("presence_penalty", None)
        return payload | wanted

    async def _adapted(self) -> dict[str, Any]:
        """Return what a request says to be answered with the adapter; looked up once."""
        if self._adapting is None:
            adapter = self.adapter
            found = adapter and await asking(self.client, self.dialect, adapter)
            self._adapting = found or {}
        return self._adapting

    def _note(self, model: str, fingerprint: str) -> None:
        """Remember who answered; another fingerprint means that the server has changed."""
        if self._fingerprint and fingerprint != self._fingerprint:
            self._record_until = 0.0
        self._answered_by, self._fingerprint = model, fingerprint

    def _from_answer(self) -> ModelRecord:
        name = self._answered_by or self.model_name
        return ModelRecord(name=name, version=self._fingerprint, server=self.dialect.server)

    @property
    def _llm_type(self) -> str:
        return f"parley-{self.dialect.name}"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "max_tokens": self.max_tokens}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        """Return what traces show: the model that answered last, once it is known."""
        params = LangSmithParams(
            ls_provider=self.dialect.server,
            ls_model_name=self._answered_by or self.model_name,
            ls_model_type="chat",
            ls_max_tokens=kwargs.get("max_tokens") or self.max_tokens,
        )
        if (temperature := kwargs.get("temperature")) is not None:
            params["ls_temperature"] = temperature
        if stop:
            params["ls_stop"] = stop
        return params


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)


def _offered(payload: dict[str, Any]) -> list[str] | None:
    """Return the names of the tools in a request; None when it has none."""
    return [tool["function"]["name"] for tool in payload.get("tools", ())] or None


def _metadata(finish_reason: str, model: str, fingerprint: str) -> dict[str, Any]:
    return {
        "finish_reason": finish_reason,
        "model_name": model,
        "system_fingerprint": fingerprint,
    }
