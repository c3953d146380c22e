"""What the nodes around tools share: which call is next, what the model is shown of the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import UUID

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import ToolCall
from uuid_utils.compat import uuid7

from core.text import scrub
from core.turn import TALK, CallResult, PromptRecord, ProposedCall, Step, Taint, TurnState
from nodes.context import Context, Limits
from safety.masking import OPEN, Masks
from safety.neutral import neutralise
from tools.ledger import Call
from tools.registry import parse

MOST_TAINT = 20  # sources that are kept; one is enough to be tainted
MOST_NAME = 80


def offered(state: TurnState, context: Context) -> list[dict[str, Any]]:
    """Return the tools that the model may ask for now, in OpenAI's shape; [] for none."""
    if state.get("stopped") or context.held is None:
        return []
    talk = state.get("intent") in TALK
    if not (state.get("acting") or (context.limits.offer_always and not talk)):
        return []
    return described(context)


def offer(tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the parameters that offer tools to the model."""
    return {"tools": tools, "tool_choice": "auto"} if tools else {}


def described(context: Context) -> list[dict[str, Any]]:
    """Return the tools that there are for this user, in OpenAI's shape."""
    services = context.services
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.schema),
            },
        }
        for tool in services.tools.offered(context.caller)
        if services.policy.offers(tool.name, context.tenant_id)
    ]


def pending(state: TurnState) -> ProposedCall | None:
    """Return the first call that has no result yet."""
    results = state.get("results", {})
    for step in state.get("steps", [])[-1:]:
        for call in step["calls"]:
            if call["call_id"] not in results:
                return call
    return None


def calls(state: TurnState) -> list[ProposedCall]:
    """Return every call of the turn, in order."""
    return [call for step in state.get("steps", []) for call in step["calls"]]


def step(said: str, chunk: AIMessageChunk | None, masks: Masks = OPEN) -> Step | None:
    """Return what the model asks for, under ids of our own; None when it asks for nothing.

    masks: puts back what the placeholders in it stand for.
    """
    wanted = [
        ProposedCall(
            call_id=str(uuid7()),
            tool=scrub(str(one.get("name") or ""))[:MOST_NAME],
            arguments=scrub(masks.arguments(str(one.get("args") or ""))),
        )
        for one in (chunk.tool_call_chunks if chunk is not None else [])
    ]
    return Step(said=masks.answer(said), calls=wanted) if wanted else None


def conversation(
    prompt: PromptRecord, state: TurnState, mark: str, masks: Masks = OPEN
) -> list[BaseMessage | tuple[str, str]]:
    """Return the messages to send: the prompt, then each step with the results of its calls.

    mark: drawn for this request; what tools returned stands between tags that carry it.
    masks: takes personal data out of what the steps hold; the prompt has passed it.
    """
    messages: list[BaseMessage | tuple[str, str]] = [
        (message["role"], message["content"]) for message in prompt["messages"]
    ]
    results = state.get("results", {})
    for one in state.get("steps", []):
        wanted = [
            ToolCall(
                name=call["tool"],
                args=_arguments(call, masks),
                id=call["call_id"],
                type="tool_call",
            )
            for call in one["calls"]
        ]
        messages.append(AIMessage(content=masks.mask(one["said"]), tool_calls=wanted))
        messages += [
            ToolMessage(content=fenced(result, mark, masks.mask), tool_call_id=call["call_id"])
            for call in one["calls"]
            if (result := results.get(call["call_id"])) is not None
        ]
    return messages


def fenced(result: CallResult, mark: str, mask: Callable[[str], str] = str) -> str:
    """Return a result as the model reads it; a failure says so."""
    text = neutralise(mask(result["text"]))
    told = text if result["status"] == "done" else f"[{result['status']}] {text}"
    return f"<result-{mark}>\n{told}\n</result-{mark}>"


def result_of(call: Call) -> CallResult:
    """Return what the ledger says came of a call."""
    return CallResult(
        status=call.status, text=call.result or "", code=call.code, sources=list(call.sources)
    )


def exceeded(state: TurnState, limits: Limits) -> str:
    """Return the limit that forbids another step; "" when none does."""
    made = calls(state)
    if len(state.get("steps", [])) >= limits.steps:
        return "steps"
    if len(made) >= limits.calls:
        return "calls"
    if state.get("spent_tokens", 0) >= limits.turn_tokens:
        return "tokens"
    same = Counter((call["tool"], call["arguments"]) for call in made)
    return "repeats" if any(count >= limits.repeats for count in same.values()) else ""


def made(state: TurnState) -> dict[str, int]:
    """Return how many calls of each tool have a result."""
    results = state.get("results", {})
    return dict(Counter(call["tool"] for call in calls(state) if call["call_id"] in results))


def taint(state: TurnState, context: Context) -> list[Taint]:
    """Return where text by strangers came from that the model has seen so far."""
    known = list(state.get("taint", []))
    for passage in state.get("passages", []):
        flags = passage.get("flags", [])
        if flags or not context.services.policy.trusts(passage["uri"]):
            known.append(tainted("document", passage["uri"], flags))
    return distinct(known)


def tainted(kind: Literal["document", "tool"], source: str, flags: Sequence[str]) -> Taint:
    """Return where text by strangers came from, with what the checks found there."""
    found = Taint(kind=kind, source=source)
    if flags:
        found["flags"] = list(flags)
    return found


def distinct(found: list[Taint]) -> list[Taint]:
    """Return each source once, not too many."""
    seen: dict[tuple[str, str], Taint] = {}
    for one in found:
        before = seen.get((one["kind"], one["source"]), one)
        flags = dict.fromkeys([*before.get("flags", []), *one.get("flags", [])])
        seen[one["kind"], one["source"]] = tainted(one["kind"], one["source"], list(flags))
    flagged_first = sorted(seen.values(), key=lambda one: not one.get("flags"))
    return flagged_first[:MOST_TAINT]


def call_id(call: ProposedCall) -> UUID:
    """Return a call's id as the ledger has it."""
    return UUID(call["call_id"])


def _arguments(call: ProposedCall, masks: Masks) -> dict[str, Any]:
    """Return the arguments as an object; what was none is shown as it was."""
    found = parse(call["arguments"])
    if isinstance(found, str):
        return {"unreadable": json.dumps(call["arguments"])[:200]}
    return masks.masked(found)
