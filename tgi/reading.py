"""What the frames of an answer say: text, tool calls, usage, and whether it is complete.

Source of the shapes: the answers that TGI's integration tests recorded, from 1.4 to 3.3.
Before 3.1.2 TGI sent one call as an object instead of a list, its name inside its arguments
({"function": {"_name": ...}}) and the model's end token as their last part; 1.4 called them
`parameters`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
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
# How TGI lets a model say that no tool fits, and the argument that holds its words.
_NO_TOOL = {"no_tool": "content", "notify_error": "error"}


class Delta(NamedTuple):
    """What some frames added: text, or parts of tool calls."""

    text: str
    calls: list[ToolCallChunk]


class Reading:
    """Reads one stream, frame by frame, and knows in the end how it ended.

    choice: which of several answers to the same question, or to several prompts, is read.
    offered: names of the tools that the model could call. With them a call of one of TGI's own
    tools for "none fits" is read as the text it is.
    """

    def __init__(self, *, choice: int = 0, offered: Collection[str] | None = None) -> None:
        self.usage: UsageMetadata | None = None
        self.model = ""
        self.fingerprint = ""
        self._choice = choice
        self._offered = offered
        self._reason: str | None = None
        self._done = False
        self._arguments: dict[int, str] = {}  # of each call, as far as it has come
        self._held: dict[int, str | None] = {}  # names of the calls that only the end explains
        self._called = False

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

    def finish(self) -> Delta:
        """Return what completes the answer; raises StreamCut when it is not complete.

        An answer is complete with its usage, or with [DONE] after a finish reason or a call:
        TGI gives a finished call no reason, and a call without arguments no closing brace.
        """
        ended = self._reason is not None or bool(self._arguments)
        if self.usage is None and not (self._done and ended):
            raise StreamCut
        texts: list[str] = []
        calls: list[ToolCallChunk] = []
        for index, arguments in self._arguments.items():
            rest = ""
            if self._reason != "length" and arguments.strip() in {"", "{"}:
                rest = "}" if arguments.strip() else "{}"
            elif not _is_json(arguments):  # LangChain would complete it to a call nobody made
                raise StreamCut("The model's tool call broke off before its end.")
            if index not in self._held:
                if rest:
                    calls.append(tool_call_chunk(name=None, args=rest, id=None, index=index))
                continue
            name, given = _named(self._held[index], _arguments(arguments) or {})
            if not name:
                raise StreamCut("The model's tool call has no name.")
            if (said := _words(name, given, self._offered)) is not None:
                texts.append(said)
                continue
            args = json.dumps(given, ensure_ascii=False)
            calls.append(tool_call_chunk(name=name, args=args, id=call_id(), index=index))
            self._called = True
        return Delta("".join(texts), calls)

    @property
    def finish_reason(self) -> str:
        """Why the answer ended, once it is finished: stop, length, tool_calls or content_filter."""
        return reason(self._reason, called=self._called)

    def _frame(
        self, frame: dict[str, Any], texts: list[str], calls: dict[int, ToolCallChunk]
    ) -> None:
        if not self.model:
            self.model = frame.get("model") or ""
            self.fingerprint = frame.get("system_fingerprint") or ""
        if frame.get("usage"):
            self.usage = usage(frame["usage"])
        for choice in frame.get("choices") or ():
            if (choice.get("index") or 0) != self._choice:
                continue
            ended = choice.get("finish_reason")
            if ended:
                self._reason = ended
            if "delta" not in choice:  # /v1/completions
                texts.append(scrub(choice["text"]))
                continue
            delta = choice["delta"] or {}
            if text := delta.get("content"):
                texts.append(scrub(text))
            for call in _listed(delta.get("tool_calls")):
                self._call(call, calls, last=bool(ended))

    def _call(self, call: dict[str, Any], calls: dict[int, ToolCallChunk], *, last: bool) -> None:
        index = call.get("index") or 0
        function = call["function"]
        arguments = scrub(_text(_given(function)))
        first = index not in self._arguments
        before = self._arguments.get(index, "")
        if last and _is_json(before):
            return  # the model's end token, which older TGI sends as a part of the arguments
        self._arguments[index] = before + arguments
        name = function.get("name")
        if first and (not name or (name in _NO_TOOL and self._offered is not None)):
            self._held[index] = name
        if index in self._held:
            return
        self._called = True
        if index in calls:
            calls[index]["args"] = (calls[index]["args"] or "") + arguments
        else:
            calls[index] = tool_call_chunk(
                name=name if first else None,
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


def whole(body: Any, *, choice: int = 0, offered: Collection[str] | None = None) -> Whole:
    """Return a completion as read; `choice` and `offered` are as for Reading.

    Raises the error that the body reports, and ModelUnavailable for another shape.
    """
    if isinstance(body, dict) and "error" in body and "choices" not in body:
        raise from_event(body)
    try:
        wanted = next(c for c in body["choices"] if (c.get("index") or 0) == choice)
        # /v1/completions has the text where a chat has the message.
        message = wanted["message"] if "message" in wanted else {"content": wanted["text"]}
        texts = [scrub(message.get("content") or "")]
        calls: list[ToolCall] = []
        invalid: list[InvalidToolCall] = []
        for item in _listed(message.get("tool_calls")):
            raw = _given(item["function"])
            arguments = _arguments(raw)
            if arguments is None:
                name = item["function"]["name"]
                invalid.append(
                    invalid_tool_call(name=name, args=str(raw), id=call_id(), error="not JSON")
                )
                continue
            name, arguments = _named(item["function"].get("name"), arguments)
            if not name:
                raise KeyError("name")
            if (said := _words(name, arguments, offered)) is not None:
                texts.append(said)
            else:
                calls.append(tool_call(name=name, args=arguments, id=call_id()))
        return Whole(
            text="".join(texts),
            calls=calls,
            invalid_calls=invalid,
            finish_reason=reason(wanted.get("finish_reason"), called=bool(calls)),
            usage=usage(body["usage"]) if body.get("usage") else None,
            model=body.get("model") or "",
            fingerprint=body.get("system_fingerprint") or "",
        )
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise ModelUnavailable("The model server sent an answer of an unknown shape.") from error


def usage(counted: dict[str, Any]) -> UsageMetadata:
    """Return the server's token counts under LangChain's names."""
    prompt, completion = counted["prompt_tokens"], counted.get("completion_tokens") or 0
    total = counted.get("total_tokens") or prompt + completion
    return UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=total)


def reason(given: str | None, *, called: bool) -> str:
    """Return the finish reason under OpenAI's name; TGI says "stop", or nothing, after a call."""
    named = _REASONS.get(given or "", given or "stop")
    return "tool_calls" if called and named == "stop" else named


def call_id() -> str:
    """Return a new id for a tool call: TGI's are all "0"."""
    return f"call_{uuid4().hex}"


def _listed(calls: Any) -> list[dict[str, Any]]:
    return [calls] if isinstance(calls, dict) else calls or []


def _given(function: dict[str, Any]) -> Any:
    """Return a call's arguments as they were sent."""
    return function["arguments"] if "arguments" in function else function.get("parameters")


def _text(given: Any) -> str:
    """Return arguments, sent as JSON or as the object itself, as JSON."""
    return json.dumps(given, ensure_ascii=False) if isinstance(given, dict) else given or ""


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


def _named(name: str | None, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a call's name and arguments, also where the name is among them; "" without one."""
    if name:
        return name, arguments
    inner = arguments.get("function")
    if not isinstance(inner, dict):
        return "", arguments
    return str(inner.get("_name") or ""), {k: v for k, v in inner.items() if k != "_name"}


def _words(name: str, arguments: dict[str, Any], offered: Collection[str] | None) -> str | None:
    """Return what a call of TGI's own tool says; None when it is a call of a real one."""
    if offered is None or name in offered or name not in _NO_TOOL:
        return None
    return scrub(str(arguments.get(_NO_TOOL[name], "")))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
