"""Wraps a node so that its turn's stages know when it begins and ends."""

from __future__ import annotations

from typing import Protocol

from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from core.errors import ParleyError
from core.turn import TurnState
from nodes.context import Context


class Node(Protocol):
    """One step of a turn: takes the state, returns only what it changed."""

    async def __call__(self, state: TurnState, runtime: Runtime[Context]) -> TurnState:
        """Take the step."""


def staged(name: str, node: Node) -> Node:
    """Return `node`, measured under `name`."""

    async def run(state: TurnState, runtime: Runtime[Context]) -> TurnState:
        stages = runtime.context.stages
        stages.started(name)
        try:
            update = await node(state, runtime)
        except GraphBubbleUp:
            stages.finished(name, {})  # it waits; that is no error
            raise
        except BaseException as error:
            code = error.code if isinstance(error, ParleyError) else type(error).__name__
            stages.finished(name, {}, error=code)
            raise
        stages.finished(name, update)
        return update

    return run
