"""What the frames of an answer say: text, tool calls, usage, and whether it is complete."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from uuid import uuid4

from langchain_core.messages import InvalidToolCall, ToolCall
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import (
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)

from core.errors import ModelUnavailable, StreamCut
from core.text import scrub
from tgi.client import DONE
from tgi.failures import from_event

# TGI's native reasons turn up in the chat answers of its older versions.
_REASONS = {"eos_token": "stop", "stop_sequence": "stop", "function_call": "tool_calls"}


class Delta(NamedTuple):
    """What some frames added: text, or parts of tool calls."""

    text: str
    calls: list[ToolCallChunk]


class Reading:
    """Reads one stream, frame by frame, and knows in the end how it ended."""

    def __init__(self) -> None:
        self.usage: UsageMetadata | None = None
        self.model = ""
        self.fingerprint = ""
        self._reason: str | None = None
        self._done = False
        self._arguments: dict[int, str] = {}  # of each call, as far as it has come

    def feed(self, frames: list[dict[str, Any]]) -> Delta:
        """Return what these frames add; raises the error that one of them reports."""
        texts: list[str] = []
        calls: dict[int, ToolCallChunk] = {}  # one a call: LangChain joins only across messages
        for frame in frames:
            if frame is DONE:
                self._done = True
                continue
            if "error" in frame:
                raise from_event(frame)
            try:
                self._frame(frame, texts, calls)
            except (KeyError, TypeError, AttributeError) as error:
                raise StreamCut("The model server sent a frame of an unknown shape.") from error
        return Delta("".join(texts), list(calls.values()))

    def finish(self) -> list[ToolCallChunk]:
        """Return what completes the calls; raises StreamCut when the answer is not complete.

        An answer is complete with its usage, or with [DONE] after a finish reason or a call:
        TGI gives a finished call no reason, and a call without arguments no closing brace.
        """
        ended = self._reason is not None or bool(self._arguments)
        if self.usage is None and not (self._done and ended):
            raise StreamCut
        closing = []
        for index, arguments in self._arguments.items():
            if self._reason != "length" and arguments.strip() in {"", "{"}:
                rest = "}" if arguments.strip() else "{}"
                closing.append(tool_call_chunk(name=None, args=rest, id=None, index=index))
            elif not _is_json(arguments):  # LangChain would complete it to a call nobody made
                raise StreamCut("The model's tool call broke off before its end.")
        return closing

    @property
    def finish_reason(self) -> str:
        """Why the answer ended: stop, length, tool_calls or content_filter."""
        return reason(self._reason, called=bool(self._arguments))

    def _frame(
        self, frame: dict[str, Any], texts: list[str], calls: dict[int, ToolCallChunk]
    ) -> None:
        if not self.model:
            self.model = frame.get("model") or ""
            self.fingerprint = frame.get("system_fingerprint") or ""
        if frame.get("usage"):
            self.usage = usage(frame["usage"])
        if not frame.get("choices"):
            return
        choice = frame["choices"][0]
        delta = choice["delta"]
        if choice.get("finish_reason"):
            self._reason = choice["finish_reason"]
        if text := delta.get("content"):
            texts.append(scrub(text))
        for call in delta.get("tool_calls") or ():
            self._call(call, calls)

    def _call(self, call: dict[str, Any], calls: dict[int, ToolCallChunk]) -> None:
        index = call.get("index", 0)
        function = call["function"]
        arguments = scrub(function.get("arguments") or "")
        first = index not in self._arguments
        self._arguments[index] = self._arguments.get(index, "") + arguments
        if index in calls:
            calls[index]["args"] = (calls[index]["args"] or "") + arguments
        else:
            calls[index] = tool_call_chunk(
                name=function.get("name") if first else None,
                args=arguments,
                id=call_id() if first else None,
                index=index,
            )


class Whole(NamedTuple):
    """A whole answer."""

    text: str
    calls: list[ToolCall]
    invalid_calls: list[InvalidToolCall]
    finish_reason: str
    usage: UsageMetadata | None
    model: str
    fingerprint: str


def whole(body: Any) -> Whole:
    """Return a chat completion as read; raises ModelUnavailable for another shape."""
    try:
        choice = body["choices"][0]
        message = choice["message"]
        calls: list[ToolCall] = []
        invalid: list[InvalidToolCall] = []
        for item in message.get("tool_calls") or ():
            name, raw = item["function"]["name"], item["function"].get("arguments")
            arguments = _arguments(raw)
            if arguments is None:
                invalid.append(
                    invalid_tool_call(name=name, args=str(raw), id=call_id(), error="not JSON")
                )
            else:
                calls.append(tool_call(name=name, args=arguments, id=call_id()))
        return Whole(
            text=scrub(message.get("content") or ""),
            calls=calls,
            invalid_calls=invalid,
            finish_reason=reason(choice.get("finish_reason"), called=bool(calls)),
            usage=usage(body["usage"]) if body.get("usage") else None,
            model=body.get("model") or "",
            fingerprint=body.get("system_fingerprint") or "",
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelUnavailable("The model server sent an answer of an unknown shape.") from error


def usage(counted: dict[str, Any]) -> UsageMetadata:
    """Return the server's token counts under LangChain's names."""
    prompt, completion = counted["prompt_tokens"], counted["completion_tokens"]
    return UsageMetadata(
        input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion
    )


def reason(given: str | None, *, called: bool) -> str:
    """Return the finish reason under OpenAI's name; TGI says "stop", or nothing, after a call."""
    named = _REASONS.get(given or "", given or "stop")
    return "tool_calls" if called and named == "stop" else named


def call_id() -> str:
    """Return a new id for a tool call: TGI's are all "0"."""
    return f"call_{uuid4().hex}"


def _arguments(raw: Any) -> dict[str, Any] | None:
    """Return a call's arguments, sent as an object or as its JSON; None when they are neither."""
    if isinstance(raw, str):
        try:
            raw = json.loads(scrub(raw)) if raw.strip() not in {"", "{"} else {}
        except ValueError:
            return None
    elif raw is None:
        raw = {}
    return raw if isinstance(raw, dict) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
