"""Decides whether a request asks for a tool, which one, and with what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tgi.embedded.clauses import is_formula
from tgi.embedded.filling import Filled, fill
from tgi.embedded.model import Reply, ToolCall
from tgi.embedded.schemas import check
from tgi.embedded.values import mentions
from tgi.embedded.vectors import Vectors
from tgi.embedded.words import content, stem, words

# A tool is called from this score on: cosine + VERB when the request says what its name says.
# Chosen on function-calling cases, see docs/decisions/0007.
CLEARLY = 0.5
SHARED = 0.25
EXACT = 0.3  # for a tool that needs just what the request names: an order's number, a formula

_NAME_PART = re.compile(r"[^\W\d_]+?(?=[A-Z][a-z])|[^\W\d_]+|\d+")


class Tool(NamedTuple):
    """A tool as the request offers it."""

    name: str
    description: str
    parameters: Mapping[str, Any]


def read(offered: Sequence[Mapping[str, Any]] | None) -> list[Tool]:
    """Return the tools of a request; both OpenAI's shape and a bare function are read."""
    tools = []
    for one in offered or ():
        function = one.get("function", one)
        tools.append(
            Tool(
                str(function["name"]),
                str(function.get("description") or ""),
                function.get("parameters") or {},
            )
        )
    return tools


async def propose(text: str, tools: Sequence[Tool], choice: str, vectors: Vectors) -> Reply | None:
    """Return the call that `text` asks for, a question for what it leaves open, or nothing.

    choice: "auto", "required" or the name of a tool.
    Raises ValueError when the named tool is not among `tools`.
    """
    if choice not in ("auto", "required") and choice not in (tool.name for tool in tools):
        raise ValueError(f"there is no tool {choice}")
    forced = choice != "auto"
    usable = [tool for tool in tools if choice in ("auto", "required", tool.name)]
    if not usable or not text.strip():
        return None
    scores = await score(text, usable, vectors)
    fillings = [fill(tool.parameters, text) for tool in usable]
    scores = [
        score + EXACT * is_exact(filled, text)
        for score, filled in zip(scores, fillings, strict=True)
    ]
    best = max(range(len(usable)), key=lambda index: (scores[index], -index))
    if scores[best] < CLEARLY and not forced:
        return None
    tool, filled = usable[best], fillings[best]
    if filled.missing:
        return Reply(text=ask(tool, filled.missing))
    check(filled.values, tool.parameters)
    return Reply(tool_calls=(ToolCall(tool.name, filled.values),))


def is_exact(filled: Filled, text: str) -> bool:
    """Return whether nothing is missing and something is there that only few tools could need."""
    ids = {mention.value for mention in mentions(text) if mention.kind == "id"}
    named = (value for value in filled.values.values() if isinstance(value, str))
    return not filled.missing and any(value in ids or is_formula(value) for value in named)


async def score(text: str, tools: Sequence[Tool], vectors: Vectors) -> list[float]:
    """Return for each tool how clearly `text` asks for it: about 0 to 1.25."""
    asked = await vectors.query(text)
    cosines = await vectors.passages([described(tool) for tool in tools]) @ asked
    said = {word.stem for word in content(words(text))}
    scores = []
    for tool, cosine in zip(tools, cosines, strict=True):
        name = {stem(part) for part in _NAME_PART.findall(tool.name)}
        scores.append(float(cosine) + SHARED * len(name & said) / (len(name) or 1))
    return scores


def described(tool: Tool) -> str:
    """Return a tool as one sentence to compare requests with."""
    name = " ".join(_NAME_PART.findall(tool.name))
    parameters = ", ".join(tool.parameters.get("properties") or ())
    return f"{name}: {tool.description} {parameters}".strip()


def ask(tool: Tool, missing: Sequence[str]) -> str:
    """Return the question for the arguments that the request leaves open."""
    properties = tool.parameters.get("properties") or {}
    wanted = []
    for name in missing:
        about = str((properties.get(name) or {}).get("description") or "").split(". ")[0]
        plain = " ".join(_NAME_PART.findall(name)).casefold() or name
        wanted.append(f"{plain} ({about.rstrip('.')})" if about else plain)
    listed = wanted[0] if len(wanted) == 1 else ", ".join(wanted[:-1]) + " and " + wanted[-1]
    return f"To use {tool.name} I still need: {listed}."


def arguments(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call in a conversation, object or JSON text."""
    given = (call.get("function") or {}).get("arguments") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            return {}
    return given if isinstance(given, dict) else {}
