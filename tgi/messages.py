"""LangChain's messages and tools in the shape that a model server takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.json_schema import dereference_refs

from core.errors import UnsupportedParameter
from tgi.profiles import Profile


def to_wire(messages: Sequence[BaseMessage], profile: Profile) -> list[dict[str, Any]]:
    """Return the conversation as JSON; raises UnsupportedParameter for anything but text."""
    return [_message(message, profile) for message in messages]


def tool_to_wire(tool: Any, profile: Profile) -> dict[str, Any]:
    """Return a tool in OpenAI's shape, with `parameters` even when it takes none.

    TGI keeps only `properties` and `required`, so for it references are resolved in place.
    """
    wire = convert_to_openai_tool(tool)
    function = dict(wire["function"])
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    if profile.inline_refs and "$defs" in schema:
        schema = dereference_refs(schema)
        schema.pop("$defs", None)
    function["parameters"] = schema
    return {"type": "function", "function": function}


def choice_to_wire(choice: Any) -> Any:
    """Return a tool choice as every server takes it.

    choice: "auto", "none", "any" or "required" (True: the same), a tool's name,
    or the object itself. TGI would take "any" for a tool's name.
    """
    if choice is True or choice == "any":
        return "required"
    if choice is False:
        return "none"
    if isinstance(choice, str) and choice not in {"auto", "none", "required"}:
        return {"type": "function", "function": {"name": choice}}
    return choice


def _message(message: BaseMessage, profile: Profile) -> dict[str, Any]:
    if isinstance(message, AIMessage):
        if not message.tool_calls:
            return {"role": "assistant", "content": _text(message)}
        wire: dict[str, Any] = {"role": "assistant"}
        if profile.text_beside_calls and (text := _text(message)):
            wire["content"] = text
        wire["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {
                    "name": call["name"],
                    "arguments": orjson.dumps(call["args"]).decode(),
                },
            }
            for call in message.tool_calls
        ]
        return wire
    if isinstance(message, ToolMessage):
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": _text(message)}
    if isinstance(message, SystemMessage):
        return {"role": "system", "content": _text(message)}
    if isinstance(message, HumanMessage):
        return {"role": "user", "content": _text(message)}
    raise UnsupportedParameter(f"Messages of type {message.type} cannot be sent to the model.")


def _text(message: BaseMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    for block in message.content:
        if isinstance(block, dict) and block.get("type") not in {"text", "tool_call", "tool_use"}:
            raise UnsupportedParameter(
                f"Content of type {block.get('type')} cannot be sent to the model."
            )
    return str(message.text)
