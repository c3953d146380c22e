"""One turn of the conversation.

START → screen ─┬→ recall → classify ─┬→ reuse ─┬→ retrieve ─┐
                │                     │         └────────────┼─────────────────────┐
                │                     ├──────────────────────┴→ generate → verify ─┤
                │                     └→ clarify ──────────────────────────────────┤
                └→ refuse ─────────────────────────────────────────────────────────┴→ remember → END

generate ⇄ propose → approve → act: what the model asks for is written down, judged, decided and
done, one call at a time. A task that no tool is for goes back to `reuse`, as a question.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from langgraph.graph import END, START, StateGraph

from core.turn import TALK, Intent, TurnState
from nodes.act import act
from nodes.approve import approve
from nodes.calling import pending
from nodes.clarify import clarify
from nodes.classify import classify
from nodes.context import Context
from nodes.generate import generate
from nodes.propose import propose
from nodes.recall import recall
from nodes.refuse import refuse
from nodes.remember import remember
from nodes.retrieve import retrieve
from nodes.reuse import reuse
from nodes.screen import screen
from nodes.staged import Node, staged
from nodes.verify import verify

NODES: dict[str, Node] = {
    "screen": screen,
    "recall": recall,
    "classify": classify,
    "reuse": reuse,
    "retrieve": retrieve,
    "generate": generate,
    "propose": propose,
    "approve": approve,
    "act": act,
    "clarify": clarify,
    "refuse": refuse,
    "verify": verify,
    "remember": remember,
}
ASK_BACK = frozenset({Intent.CLARIFY, Intent.HANDOFF})


def build(
    wrap: Callable[[str, Node], Node] = staged, context_schema: type[Context] | None = Context
) -> StateGraph[TurnState, Context, TurnState, TurnState]:
    """Return the graph of a turn, not yet compiled.

    wrap: put around each node. context_schema: None where the caller cannot pass a Context.
    """
    graph = StateGraph(TurnState, context_schema=context_schema)
    for name, node in NODES.items():
        graph.add_node(name, wrap(name, node))
    graph.add_edge(START, "screen")
    graph.add_conditional_edges("screen", after_screen)
    graph.add_edge("recall", "classify")
    graph.add_conditional_edges("classify", after_classify)
    graph.add_conditional_edges("reuse", after_reuse)
    graph.add_edge("retrieve", "generate")
    graph.add_conditional_edges("generate", after_generate)
    graph.add_conditional_edges("propose", after_propose)
    graph.add_conditional_edges("approve", after_approve)
    graph.add_conditional_edges("act", after_act)
    graph.add_edge("clarify", "remember")
    graph.add_edge("refuse", "remember")
    graph.add_edge("verify", "remember")
    graph.add_edge("remember", END)
    return graph


async def after_screen(state: TurnState) -> Literal["refuse", "recall"]:
    """A blocked message is refused; everything else is answered."""
    return "refuse" if state.get("refusal") else "recall"


async def after_classify(state: TurnState) -> Literal["clarify", "generate", "reuse"]:
    """Ask back, talk, or look it up."""
    intent = Intent(state["intent"])
    if intent in ASK_BACK:
        return "clarify"
    if state.get("acting"):
        return "generate"
    return "generate" if intent in TALK else "reuse"


async def after_reuse(state: TurnState) -> Literal["remember", "retrieve"]:
    """What was found in the cache has been verified before it was kept."""
    return "remember" if state.get("answer") else "retrieve"


def after_generate(state: TurnState) -> Literal["propose", "reuse", "verify"]:
    """Do what the model asks for; look it up when it sounded like a task and was none."""
    if pending(state) is not None:
        return "propose"
    return "reuse" if state.get("acting") is False and "cache" not in state else "verify"


def after_propose(state: TurnState) -> Literal["approve", "generate"]:
    """Calls that cannot be made have their results already."""
    return "generate" if pending(state) is None else "approve"


def after_approve(state: TurnState) -> Literal["act", "approve", "generate"]:
    """Make the call if it may be made; otherwise its result is the decision, so go on."""
    call = pending(state)
    if call is None:
        return "generate"
    return "act" if state.get("cleared") == call["call_id"] else "approve"


def after_act(state: TurnState) -> Literal["approve", "generate"]:
    """Go on with the next call, or with this one when a person has to be asked about it."""
    return "generate" if pending(state) is None else "approve"
