"""LLM06: a model that can do more than it should."""

from __future__ import annotations

from db.pool import Database
from evals.asking import AskingModel
from tests.graphs.acting import REVIEWER, acting, decide, pending
from tests.graphs.test_actions import WRITE, World, calls_of, running, until
from tests.graphs.turns import begin, events
from tools.policy import Policy, PolicyFile, Rule


async def test_an_effect_needs_a_person_and_happens_once(database: Database) -> None:
    """Not before the decision, not twice after it, and with the arguments that were approved."""
    world, model = World(), AskingModel().plays([("save", {"word": "me"})], "Saved.")
    used = acting(database, model, [world.tool("save", WRITE)])
    async with running(used) as runner:
        run = await begin(runner, "Save me")
        await until(runner, run, "run.waiting")
        assert world.done == []
        [approval] = await pending(database)
        await decide(used, approval.approval_id, "approve", by=REVIEWER, digest=approval.digest)
        await events(runner, run)
    assert world.done == ["save me"]


async def test_what_no_rule_allows_is_denied(database: Database) -> None:
    """The policy says what may happen; what it does not name does not."""
    only = PolicyFile(rules=(Rule(tools=("look",), decide="run", because="It reads."),))
    world, model = World(), AskingModel().plays([("save", {"word": "me"})], "I may not.")
    used = acting(database, model, [world.tool("save", WRITE)], Policy(only))
    async with running(used) as runner:
        run = await begin(runner, "Save me")
        await events(runner, run)
    assert world.done == []
    assert [call.status for call in await calls_of(database, run)] == ["denied"]


async def test_a_tool_that_does_not_exist_is_not_made_up(database: Database) -> None:
    """The model is told so, and the turn goes on."""
    world, model = World(), AskingModel().plays([("format_disk", {})], "There is no such thing.")
    used = acting(database, model, [world.tool("save", WRITE)])
    async with running(used) as runner:
        log = await events(runner, await begin(runner, "Format it"))
    assert log[-1].type == "run.finished"
    assert "There is no tool 'format_disk'" in model.results[-1]
