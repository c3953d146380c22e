"""Calls are checked, bounded and capped, and always end in an outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from core.errors import DatabaseBusy, RemoteUnreachable
from tools.registry import MOST_ARGUMENTS, Outcome, Registry, parse
from tools.tool import Caller, Declaration, Output, Tool, TryDifferently, typed

ANN = Caller("default", "ann")
CLERK = Caller("default", "carl", roles=frozenset({"clerk"}))
PURE = Declaration("none", "pure")


class Amount(BaseModel):
    """Arguments of the tools below."""

    cents: Annotated[int, Field(ge=0, le=10_000)]
    note: str = ""

    @field_validator("note")
    @classmethod
    def _is_polite(cls, note: str) -> str:
        if "!" in note:
            raise ValueError("must not shout")
        return note


def tool(
    function: Callable[[Amount, Caller, str], Awaitable[Output | str]],
    declaration: Declaration = PURE,
    name: str = "pay",
) -> Tool:
    """Return a tool that takes an amount."""
    return typed(name, "Pays.", Amount, function, declaration)


async def say(amount: Amount, caller: Caller, key: str) -> str:
    """Return everything that a tool is given."""
    return f"{amount.cents} for {caller.user_id} by {key}"


async def call(one: Tool, arguments: Any = None, caller: Caller = ANN) -> Outcome:
    """Call the only tool of a registry."""
    given = {"cents": 5} if arguments is None else arguments
    return await Registry([one]).call(one.name, given, caller, key="k1")


@pytest.mark.parametrize("arguments", [{"cents": 5}, '{"cents": 5}', '{"cents": 5, "note": "a"}'])
async def test_a_tool_gets_arguments_caller_and_key(arguments: Any) -> None:
    """An object or its JSON, as models write it; the key is the same for the same call."""
    assert await call(tool(say), arguments) == Outcome("ok", "5 for ann by k1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"cents": 5', "not JSON"),
        ("[5]", "not a JSON object"),
        ("", "'cents' is a required property"),
        ('{"cents": "five"}', "cents: 'five' is not of type 'integer'"),
        ('{"cents": -1}', "cents: -1 is less than the minimum"),
        ('{"cents": NaN}', "NaN is no number"),
        ('{"cents": 5, "note": "now!"}', "note: Value error, must not shout"),
        ("[" * 100_000, "longer than"),
        ("[" * 60_000, "not JSON"),
        ({"cents": float("inf")}, "not JSON"),
        ({"cents": object()}, "not JSON"),
    ],
)
async def test_wrong_arguments_are_told_to_the_model(arguments: Any, told: str) -> None:
    """The tool does not run, and the model learns which argument is wrong and how."""
    outcome = await call(tool(say), arguments)
    assert (outcome.status, outcome.code) == ("refused", "arguments_invalid")
    assert told in outcome.text


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str)))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a model writes is an object or a sentence about what is wrong."""
    assert isinstance(parse(text), dict | str)


async def test_an_unknown_tool_is_answered_with_those_there_are() -> None:
    """So is one that the caller's roles do not allow, which is not even named."""
    secret = tool(say, Declaration("none", "pure", roles=frozenset({"clerk"})), name="secret")
    registry = Registry([tool(say), secret])
    outcome = await registry.call("nothing", {}, ANN, key="k")
    assert outcome.text == "There is no tool 'nothing'. Tools: pay."
    hidden = await registry.call("secret", {"cents": 1}, ANN, key="k")
    assert hidden.code == "unknown_tool"
    assert [one.name for one in registry.offered(ANN)] == ["pay"]
    assert (await registry.call("secret", {"cents": 1}, CLERK, key="k")).status == "ok"


async def test_a_tool_may_ask_for_another_attempt() -> None:
    """What a tool refuses is no failure: the model reads why."""

    async def run(amount: Amount, caller: Caller, key: str) -> str:
        raise TryDifferently("There is no such order.")

    assert await call(tool(run)) == Outcome("refused", "There is no such order.", "tool_refused")


@pytest.mark.parametrize(
    ("effect", "may_have_run"), [(PURE, False), (Declaration("external", "keyed"), True)]
)
async def test_a_failure_says_whether_the_effect_may_be_there(
    effect: Declaration, *, may_have_run: bool
) -> None:
    """An exception inside a tool ends the call, without its text; errors of ours keep theirs."""

    async def broken(amount: Amount, caller: Caller, key: str) -> str:
        raise RuntimeError("password is hunter2")

    async def busy(amount: Amount, caller: Caller, key: str) -> str:
        raise DatabaseBusy

    outcome = await call(tool(broken, effect))
    assert (outcome.status, outcome.may_have_run) == ("failed", may_have_run)
    assert "hunter2" not in outcome.text
    assert (await call(tool(busy, effect))).code == DatabaseBusy.code


async def test_a_tool_that_hangs_is_ended() -> None:
    """Its time is in its declaration."""
    ended = asyncio.Event()

    async def hang(amount: Amount, caller: Caller, key: str) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    outcome = await call(tool(hang, Declaration("none", "pure", timeout_seconds=0.05)))
    assert (outcome.status, outcome.code) == ("failed", "tool_timeout")
    assert ended.is_set()


async def test_cancelling_a_call_reaches_the_tool() -> None:
    """A cancelled turn does not wait for its tool."""
    begun = asyncio.Event()

    async def hang(amount: Amount, caller: Caller, key: str) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    task = asyncio.create_task(call(tool(hang)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_results_are_capped_and_storable() -> None:
    """Ten megabytes with NUL in them become a short text that says what is missing."""

    async def flood(amount: Amount, caller: Caller, key: str) -> Output:
        return Output("\0" + "x" * 10_000_000, sources=("https://example.org/",))

    outcome = await call(tool(flood))
    assert len(outcome.text) < 21_000
    assert outcome.text.startswith("\ufffdx")
    assert outcome.text.endswith("characters left out]")
    assert outcome.sources == ("https://example.org/",)


async def test_a_tool_that_keeps_failing_rests() -> None:
    """After five failures in a row it is not called for a while; refusals count for nothing."""
    calls = 0

    async def broken(amount: Amount, caller: Caller, key: str) -> str:
        nonlocal calls
        calls += 1
        if amount.cents == 0:
            raise TryDifferently("not nothing")
        raise RuntimeError

    registry = Registry([tool(broken)])
    for cents in (1, 1, 1, 1, 0, 1, 1, 1, 1):
        assert (await registry.call("pay", {"cents": cents}, ANN, key="k")).status != "resting"
    assert (await registry.call("pay", {"cents": 1}, ANN, key="k")).status == "failed"
    assert (await registry.call("pay", {"cents": 1}, ANN, key="k")).code == "tool_resting"
    assert calls == 10


@pytest.mark.parametrize(
    ("effect", "idempotency"), [("none", "keyed"), ("external", "pure"), ("internal_write", "pure")]
)
def test_a_declaration_does_not_contradict_itself(effect: Any, idempotency: Any) -> None:
    """Only what has no effect may run any number of times."""
    with pytest.raises(ValueError, match="effect"):
        Declaration(effect, idempotency)


def test_two_tools_of_one_name_are_refused() -> None:
    """Whoever puts the registry together learns it at the start."""
    with pytest.raises(ValueError, match="two tools are called pay"):
        Registry([tool(say), tool(say)])
    with pytest.raises(ValueError, match="schema of x is none"):
        Tool("x", "", {"type": "nothing"}, PURE, tool(say).run)


def test_arguments_have_a_limit() -> None:
    """Enormous arguments are not even parsed."""
    assert "longer" in str(parse(json.dumps({"a": "x" * MOST_ARGUMENTS})))


async def test_strangers_text_in_a_refusal_is_told_apart() -> None:
    """What a remote server says about a refused call keeps its source."""

    async def quote(amount: Amount, caller: Caller, key: str) -> str:
        raise TryDifferently("They say: no", sources=("https://shop.example/",))

    outcome = await call(tool(quote))
    assert (outcome.status, outcome.sources) == ("refused", ("https://shop.example/",))


async def test_what_was_never_sent_has_not_run() -> None:
    """An effect behind a server that cannot be reached did not happen."""

    async def send(amount: Amount, caller: Caller, key: str) -> str:
        raise RemoteUnreachable

    outcome = await call(tool(send, Declaration("external", "none")))
    assert (outcome.status, outcome.may_have_run) == ("failed", False)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
    ],
)
async def test_a_schema_that_cannot_be_used_lets_nothing_through(schema: dict[str, Any]) -> None:
    """What it refers to is not fetched, and its tool does not run."""

    async def run(arguments: Any, caller: Caller, key: str) -> Output:
        raise AssertionError("ran")

    outcome = await call(Tool("pay", "Pays.", schema, PURE, run), {"cents": "5"})
    assert outcome.code == "arguments_invalid"
    assert "cannot be used" in outcome.text
