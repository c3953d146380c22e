"""Requests that several tests send."""

from __future__ import annotations

from typing import Any

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Since when is it the capital?"}]}

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of the coming days",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}

TOOL: dict[str, Any] = {"tools": [WEATHER], "tool_choice": "required"}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "since": {"type": "integer"}},
    "required": ["city"],
}

FORMAT: dict[str, Any] = {
    "response_format": {"type": "json_schema", "value": {"name": "place", "schema": SCHEMA}}
}
