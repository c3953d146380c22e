"""LLM10: requests that cost without end."""

from __future__ import annotations

import pytest

from core.errors import InputTooLong
from core.text import MAX_INPUT_CHARACTERS
from db.pool import Database
from evals.asking import AskingModel
from nodes.context import Limits
from safety.guard import Guard
from tests.graphs.acting import acting
from tests.graphs.test_actions import READ, World, running
from tests.graphs.turns import begin, events


async def test_a_model_that_asks_for_ever_is_stopped(database: Database) -> None:
    """After so many steps, with a sentence that says so."""
    world, model = World(), AskingModel().plays([("look", {"word": "again"})])
    used = acting(database, model, [world.tool("look", READ)])
    async with running(used, Limits(steps=4, repeats=100)) as runner:
        log = await events(runner, await begin(runner, "Look"))
    assert len(world.done) == 4
    assert log[-1].type == "run.finished"


async def test_an_endless_message_is_refused(guard: Guard) -> None:
    """Before anything reads it."""
    with pytest.raises(InputTooLong):
        await guard.check_input("x" * (MAX_INPUT_CHARACTERS + 1))


@pytest.mark.parametrize(
    "text",
    [
        "+1 202 " * 4500,
        "a" * 32_000,
        "ignore " * 4500,
        "4111 1111 " * 3200,
        "<" * 32_000,
        "http://" * 4500,
        "-----BEGIN " * 2900,
        "[" * 16_000 + "]" * 16_000,
    ],
    ids=lambda text: text[:8],
)
async def test_a_hostile_message_is_judged_in_time(guard: Guard, text: str) -> None:
    """No pattern goes astray on it: a check that took too long would refuse the turn."""
    await guard.check_input(text[:MAX_INPUT_CHARACTERS])
    await guard.check("output", text)
    leaving = guard.leaving()
    for start in range(0, len(text), 4000):
        leaving.feed(text[start : start + 4000])
    leaving.finish()
