"""One turn of the conversation.

START → screen ─┬→ recall → classify ─┬→ reuse ─┬→ retrieve ─┐
                │                     │         └────────────┼─────────────────────┐
                │                     ├──────────────────────┴→ generate → verify ─┤
                │                     └→ clarify ──────────────────────────────────┤
                └→ refuse ─────────────────────────────────────────────────────────┴→ remember → END
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from langgraph.graph import END, START, StateGraph

from core.turn import Intent, TurnState
from nodes.clarify import clarify
from nodes.classify import classify
from nodes.context import Context
from nodes.generate import TALK, generate
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
    graph.add_edge("generate", "verify")
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
    return "generate" if intent in TALK else "reuse"


async def after_reuse(state: TurnState) -> Literal["remember", "retrieve"]:
    """What was found in the cache has been verified before it was kept."""
    return "remember" if state.get("answer") else "retrieve"
