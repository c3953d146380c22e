"""Personal data on its way to a model and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from core.telemetry import NullTracer
from db import placeholders, threads, turns
from db.pool import Database
from embeddings.base import Embedder
from evals.asking import AskingModel
from graphs.runner import Runner
from nodes.context import Limits, Services
from safety.guard import Guard
from safety.policy import Policies, TenantPolicy, merged
from tests.graphs.acting import acting
from tests.graphs.test_actions import READ, World
from tests.graphs.turns import QUICK, TENANT, begin, events

MAIL = "joe.miller@example.org"


@pytest.fixture(scope="module")
def guard(embedder: Embedder) -> Guard:
    """The real checks."""
    return Guard.build(embedder, key=b"0123456789abcdef")


def masking(guard: Guard, **how: Any) -> Guard:
    """Return the checks under the shipped policy with another masking."""
    general = Policies.load().general.model_dump(mode="json")
    quiet = {
        "harmful": {"enabled": False},
        "injection": {"enabled": False},
    }
    policy = TenantPolicy.model_validate(merged(general, {"masking": how, "checks": quiet}))
    return guard.under(Policies(policy, {}))


def spoken(model: AskingModel) -> str:
    """Return everything that the newest request told the model, our own rules left out."""
    return "\n".join(str(message.content) for message in model.told[-1][1:])


async def said(runner: Runner, text: str, thread_id: str | None = None) -> tuple[str, str, str]:
    """Say something; return what was answered, and the ids of the thread and the run."""
    run = await begin(runner, text, thread_id)
    log = await events(runner, run)
    [answer] = [event.data["content"] for event in log if event.type == "message.finished"]
    streamed = "".join(event.data["text"] for event in log if event.type == "token")
    assert streamed == answer
    return answer, run.thread_id, run.run_id


def served(database: Database, guard: Guard, model: AskingModel) -> Services:
    """Return services with a tool that only reads."""
    used = acting(database, model, [World().tool("look", READ)])
    return replace(used, guard=guard)


async def test_a_model_sees_placeholders_and_the_user_does_not(
    database: Database, guard: Guard
) -> None:
    """The same one for the same value in every turn; the turn log shows what was sent."""
    model = AskingModel().plays("I will write to <EMAIL_1>.")
    used = served(database, masking(guard, model="always"), model)
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        answer, thread_id, run_id = await said(runner, f"Write to {MAIL}")
        assert MAIL not in spoken(model)
        assert "<EMAIL_1>" in spoken(model)
        assert answer == f"I will write to {MAIL}."
        model.plays("<EMAIL_2> comes after <EMAIL_1>.")
        second, _, _ = await said(runner, f"And to ann@example.org, not {MAIL.upper()}", thread_id)
        assert second == f"ann@example.org comes after {MAIL}."
        assert spoken(model).count("<EMAIL_1>") >= 2  # in the history and in the question
    async with database.transaction(TENANT) as conn:
        log = await turns.get(conn, UUID(run_id))
    assert "<EMAIL_1>" in log.raw_answer
    assert MAIL not in str(log.prompt)
    assert await placeholders.known(database, TENANT, UUID(thread_id)) == {
        "<EMAIL_1>": MAIL,
        "<EMAIL_2>": "ann@example.org",
    }
    async with database.transaction(TENANT) as conn:
        await threads.delete(conn, UUID(thread_id))
    assert await placeholders.known(database, TENANT, UUID(thread_id)) == {}


async def test_a_placeholder_that_somebody_wrote_is_nobodys_value(
    database: Database, guard: Guard
) -> None:
    """Who writes one gets it back as it was written, and not what another one stands for."""
    model = AskingModel().plays("That was <WRITTEN_1>, and <EMAIL_1>.")
    used = served(database, masking(guard, model="always"), model)
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        answer, _, _ = await said(runner, f"Is <EMAIL_1> the same as {MAIL}?")
    assert answer == f"That was <EMAIL_1>, and {MAIL}."


async def test_a_tool_gets_the_value(database: Database, guard: Guard) -> None:
    """The model asks with a placeholder, and reads its result with one."""
    world = World()
    model = AskingModel().plays([("look", {"word": "<EMAIL_1>"})], "Done for <EMAIL_1>.")
    used = replace(
        acting(database, model, [world.tool("look", READ)]),
        guard=masking(guard, model="always"),
    )
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        answer, _, _ = await said(runner, f"Look {MAIL} up")
    assert world.done == [f"look {MAIL}"]
    assert model.results == ["look did <EMAIL_1>"]
    assert MAIL not in str(model.told[-1])
    assert answer == f"Done for {MAIL}."


async def test_nothing_comes_back_where_the_policy_keeps_no_values(
    database: Database, guard: Guard
) -> None:
    """The numbers stay the same from turn to turn all the same."""
    model = AskingModel().plays("<EMAIL_1>!")
    used = served(database, masking(guard, model="always", reversible=False), model)
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        answer, thread_id, _ = await said(runner, f"Write to {MAIL}")
        await said(runner, f"Again to {MAIL}", thread_id)
    assert answer == "<EMAIL_1>!"
    known = await placeholders.known(database, TENANT, UUID(thread_id))
    assert list(known) == ["<EMAIL_1>"]
    assert MAIL not in str(known)


@pytest.mark.parametrize("how", ["never", "hosted"])
async def test_our_own_model_reads_everything(database: Database, guard: Guard, how: str) -> None:
    """What is masked towards models of others is not towards ours."""
    model = AskingModel().plays("I will.")
    used = served(database, masking(guard, model=how), model)
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        _, thread_id, _ = await said(runner, f"Write to {MAIL}")
    assert MAIL in spoken(model)
    assert await placeholders.known(database, TENANT, UUID(thread_id)) == {}


async def test_the_users_own_name_is_known(database: Database, guard: Guard) -> None:
    """From their profile, in any case; the names of others are not."""
    model = AskingModel().plays("Hello <NAME_1>.")
    used = served(database, masking(guard, model="always"), model)
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        run = await runner.start(
            tenant_id=TENANT,
            user_id="ann",
            names=["Ann Kowalski"],
            thread_id=None,
            text="I am ANN KOWALSKI, and Bob Stone is not.",
        )
        log = await events(runner, run)
    assert "KOWALSKI" not in spoken(model)
    assert "Bob Stone" in spoken(model)
    [answer] = [event.data["content"] for event in log if event.type == "message.finished"]
    assert answer == "Hello ANN KOWALSKI."
