"""Checks the finished answer: what is cited was retrieved, and no support means "I don't know"."""

from __future__ import annotations

from langgraph.runtime import Runtime

from core.turn import Citation, Passage, TurnState
from knowledge.merge import chunk_ids
from nodes import screening
from nodes.calling import calls
from nodes.context import Context
from nodes.refuse import refusal
from safety.findings import noted

TITLES_NAMED = 3
RESULT_CHARACTERS = 500  # of each result, told without a model


async def verify(state: TurnState, runtime: Runtime[Context]) -> TurnState:
    """Return the answer with its checked citations, or "I don't know" with what to try."""
    context = runtime.context
    answer = state.get("answer", "").strip()
    passages = state.get("passages", [])
    if answer:
        citations = [c for c in state.get("citations", []) if was_retrieved(c, passages)]
        checked = await _checked(answer, state, context)
        return {**checked, "citations": citations, "abstained": False}
    if state.get("results"):
        checked = await _checked(acted(state, context), state, context)
        context.emit("token", {"text": checked["answer"]})
        return {**checked, "citations": [], "abstained": False}
    answer = abstain(context, passages)
    context.emit("token", {"text": answer})
    return {
        "answer": answer,
        "citations": [],
        "abstained": True,
        "finish_reason": state.get("finish_reason", "stop"),
    }


async def _checked(answer: str, state: TurnState, context: Context) -> TurnState:
    """Return a whole answer as it may be kept, with what the checks found; raises CheckFailed.

    What a model said has passed the same checks while it streamed, so nothing is left to find.
    """
    rules = context.services.prompts["act" if state.get("acting") else "answer"].rules
    about = screening.leaving(rules, state.get("passages", []), state, context)
    verdict = await context.services.guard.check("output", answer, about)
    findings = list(state.get("findings", []))
    told = [{**one, "digest": ""} for one in findings]  # by the stream, about the raw text
    for one in noted(verdict, answer, context.run_id):
        if {**one, "digest": ""} not in told:
            findings.append(one)
    if verdict.refusal is None:
        return TurnState(answer=verdict.text, findings=findings)
    refused = await refusal(verdict.refusal, state["text"], context)
    return TurnState(answer=refused, findings=findings, finish_reason="content_filter")


def was_retrieved(citation: Citation, passages: list[Passage]) -> bool:
    """Return whether the citation's number stands for the passage it names."""
    marker = citation["marker"]
    return 1 <= marker <= len(passages) and citation["chunk_id"] in chunk_ids(passages[marker - 1])


def acted(state: TurnState, context: Context) -> str:
    """Return what came of the calls, for a model that used tools and said nothing about it."""
    results = state.get("results", {})
    told = [
        {"tool": call["tool"], "text": results[call["call_id"]]["text"][:RESULT_CHARACTERS]}
        for call in calls(state)
        if call["call_id"] in results
    ]
    return context.services.replies.say("acted", results=told)


def abstain(context: Context, passages: list[Passage]) -> str:
    """Return "I don't know" with the nearest titles, or with what to do when there are none."""
    replies = context.services.replies
    titles = list(dict.fromkeys(f"“{p['title']}”" for p in passages if p["title"]))
    if not passages:
        return replies.say("abstain_empty")
    return replies.say("abstain", titles=titles[:TITLES_NAMED])
