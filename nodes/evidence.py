"""What a reviewer is shown: what is asked for, what led to it, where the arguments came from."""

from __future__ import annotations

from typing import Any

from core.turn import TurnState
from nodes import calling
from nodes.context import Context
from tools.ledger import Call
from tools.taint import Text, origins

MOST_MESSAGES = 20  # of the conversation
MOST_CHARACTERS = 2000  # of each text


def evidence(call: Call, state: TurnState, context: Context) -> dict[str, Any]:
    """Return conversation, passages, results so far, origins and what will happen, as data."""
    tool = context.services.tools.get(call.tool)
    history = state.get("history", [])[-MOST_MESSAGES:]
    results = state.get("results", {})
    return {
        "description": tool.description if tool else "",
        "will_happen": consequence(call),
        "conversation": [
            *({"role": m["role"], "content": _cut(m["content"])} for m in history),
            {"role": "user", "content": _cut(state["text"])},
        ],
        "said": [_cut(step["said"]) for step in state.get("steps", []) if step["said"].strip()],
        "passages": [
            {
                "uri": passage["uri"],
                "title": passage["title"],
                "text": _cut(passage["text"]),
                "trusted": context.services.policy.trusts(passage["uri"]),
                "flags": passage.get("flags", []),
            }
            for passage in state.get("passages", [])
        ],
        "results": [
            {
                "call_id": one["call_id"],
                "tool": one["tool"],
                "arguments": one["arguments"][:MOST_CHARACTERS],
                "status": results[one["call_id"]]["status"],
                "text": _cut(results[one["call_id"]]["text"]),
                "sources": results[one["call_id"]]["sources"],
                "flags": results[one["call_id"]].get("flags", []),
            }
            for one in calling.calls(state)
            if one["call_id"] in results
        ],
        "flags": state.get("argument_flags", {}).get(str(call.call_id), []),
        "taint": list(call.taint),
        "origins": origins(call.arguments, texts(state, context)),
    }


def texts(state: TurnState, context: Context) -> list[Text]:
    """Return every text that the model has seen in this turn, with who wrote it."""
    policy, tools = context.services.policy, context.services.tools
    found = [Text("user", "this message", state["text"])]
    for message in state.get("history", []):
        found.append(Text("history", message["role"], message["content"]))
    for passage in state.get("passages", []):
        untrusted = not policy.trusts(passage["uri"])
        found.append(Text("document", passage["uri"], passage["text"], untrusted))
    results = state.get("results", {})
    for call in calling.calls(state):
        if (result := results.get(call["call_id"])) is not None:
            tool = tools.get(call["tool"])
            untrusted = tool is None or tool.declaration.reads_untrusted
            source = ", ".join([call["tool"], *result["sources"]])
            found.append(Text("tool", source, result["text"], untrusted))
    return found


def consequence(call: Call) -> str:
    """Return one sentence on what approving leads to."""
    twice = {
        "pure": "",
        "keyed": " Sent again after a failure, it still happens once.",
        "none": " After a failure nobody may know whether it happened; then you are asked again.",
    }[call.idempotency]
    where = {
        "none": "reads and changes nothing",
        "internal_write": "changes data in this database",
        "external": "acts outside Parley",
    }[call.effect]
    return f"{call.tool} runs once with exactly these arguments; it {where}.{twice}"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
