from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from core.events import Event
from core.telemetry import NullTracer
from db.pool import Database
from embeddings.minilm import MiniLM
from graphs.runner import Runner
from nodes.context import Limits
from safety.guard import Guard
from tests.graphs.test_checks import SayingModel
from tests.graphs.turns import QUICK, begin, events, services

Turn = Callable[..., Awaitable[list[Event]]]


@pytest.fixture(scope="session")
def guard(embedder: MiniLM) -> Guard:
    """The checks under the policy that comes along."""
    return Guard.build(embedder)


@pytest.fixture
def turn(database: Database, guard: Guard) -> Turn:
    """Runs one turn in which the user says `text` and the model says `pieces`."""

    async def run(text: str, *pieces: str) -> list[Event]:
        used = replace(services(database, SayingModel().say(*pieces)), guard=guard)
        async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
            return await events(runner, await begin(runner, text))

    return run


def said(log: list[Event]) -> str:
    """Return what the user has read."""
    return "".join(event.data["text"] for event in log if event.type == "token")


def shown(log: list[Event]) -> str:
    """Return everything that any event of a turn holds."""
    return str([event.data for event in log])
