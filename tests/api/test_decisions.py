"""Decisions of every shape, and everything else that may be sent instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from db.pool import Database
from tests.api.inside import client_of, runner_of
from tests.api.reviewing import JSON, decide, error_of
from tests.api.test_fuzz import VALUES, fields, is_typed
from tests.conftest import run_apart
from tests.graphs.turns import services
from tests.tools.calls import ARGUMENTS, Desk


@pytest.mark.parametrize(
    ("body", "status", "cents"),
    [
        ({"decision": "approve"}, "approved", 500),
        ({"decision": "edit", "arguments": {**ARGUMENTS, "cents": 4}}, "approved", 4),
        ({"decision": "reject", "reason": "No."}, "rejected", None),
        ({"decision": "answer", "answer": "Wait."}, "answered", None),
        ({"decisions": [{"type": "approve"}]}, "approved", 500),
        (
            {
                "decisions": [
                    {"type": "edit", "edited_action": {"args": {"order": "B", "cents": 4}}}
                ]
            },
            "approved",
            4,
        ),
        ({"decisions": [{"type": "reject", "message": "No."}]}, "rejected", None),
        ({"decisions": [{"type": "respond", "message": "Wait."}]}, "answered", None),
        ([{"type": "accept", "args": None}], "approved", 500),
        (
            [{"type": "edit", "args": {"action": "x", "args": '{"order": "B", "cents": 4}'}}],
            "approved",
            4,
        ),
        ([{"type": "response", "args": "No."}], "rejected", None),
        ([{"type": "ignore", "args": None}], "rejected", None),
    ],
)
async def test_every_shape_of_a_decision(
    desk: Desk, http: httpx.AsyncClient, body: Any, status: str, cents: int | None
) -> None:
    """Ours, and both answers to LangGraph's interrupts, on the same route."""
    asked = await desk.ask()
    answer = await decide(http, asked, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == status
    await desk.act(asked)
    assert [amount for _, amount in desk.done] == ([] if cents is None else [cents])


def deep(depth: int) -> Any:
    """Return a list in a list in a list …"""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def edit(**arguments: Any) -> dict[str, Any]:
    """Return an edit to other arguments."""
    return {"decision": "edit", "arguments": {**ARGUMENTS, **arguments}}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (None, 422),
        ("approve", 422),
        ({}, 422),
        ([], 422),
        ({"decision": "maybe"}, 422),
        ({"decision": None}, 422),
        ({"decision": "approve", "digest": 5}, 422),
        ({"decision": "approve", "more": 1}, 400),
        ({"decision": "approve", "arguments": {}}, 422),
        ({"decision": "edit"}, 422),
        ({"decision": "edit", "arguments": []}, 422),
        ({"decision": "answer"}, 422),
        ({"decision": "answer", "answer": " "}, 422),
        ({"decision": "reject", "reason": "x" * 2001}, 422),
        ({"decision": "reject", "reason": "\ud800"}, 422),
        ({"decisions": [{"type": "approve"}] * 2}, 422),
        (edit(cents="many"), 422),
        (edit(cents=float("nan")), 422),
        (edit(cents=float("inf")), 422),
        (edit(order="\x00"), 422),
        (edit(order="\ud800"), 422),
        (edit(order="x" * 70_000), 422),
        (edit(order="x" * (1 << 20)), 413),
        (edit(order=deep(100)), 422),
        (edit(more=deep(100)), 422),
        (edit(more=deep(900)), 422),
        (edit(**{"\x00": 1}), 422),
        ({"decisions": [{"type": "edit", "edited_action": {"args": "[" * 50_000}}]}, 422),
        ({"decisions": deep(900)}, 422),
        ([{"type": "edit", "args": {"args": '{"order": "\\u0000", "cents": 1}'}}], 422),
        ([{"type": "edit", "args": {"args": '{"order": "a", "cents": 1e400}'}}], 422),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_what_makes_no_sense_changes_nothing(
    desk: Desk, http: httpx.AsyncClient, body: Any, status: int
) -> None:
    """A typed refusal, and the approval and its log are as they were."""
    asked = await desk.ask()
    answer = await decide(http, asked, body)
    assert answer.status_code == status, answer.text
    is_typed(answer)
    assert await desk.approval(asked.approval_id) == asked
    log = (await http.get(f"/v1/approvals/{asked.approval_id}")).json()["log"]
    assert [entry["kind"] for entry in log] == ["approval.requested"]


async def test_a_body_that_is_no_json(desk: Desk, http: httpx.AsyncClient) -> None:
    """Nothing, half of it, another media type, and 50 000 brackets."""
    asked = await desk.ask()
    path = f"/v1/approvals/{asked.approval_id}/decision"
    for content in (b"", b"{", b"\xff", b"[" * 50_000, b'{"decision": NaN}'):
        answer = await http.post(path, content=content, headers=JSON)
        assert answer.status_code == 422
        is_typed(answer)
    plain = await http.post(path, content=b'{"decision": "approve"}')
    assert error_of(plain) == (415, "media_type_refused")
    assert await desk.approval(asked.approval_id) == asked


FUZZ = settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
BODIES = (
    fields("decision", "digest", "arguments", "reason", "answer")
    | st.fixed_dictionaries(
        {"decision": st.sampled_from(["edit", "answer"])},
        optional={"arguments": VALUES, "answer": VALUES, "reason": VALUES},
    )
    | st.fixed_dictionaries({"decisions": st.lists(fields("type", "edited_action", "message"))})
    | st.lists(fields("type", "args"), max_size=2)
    | VALUES
)


@FUZZ
@given(bodies=st.lists(BODIES, min_size=5, max_size=5))
def test_whatever_is_sent_is_never_a_server_error(
    database_url: str, tmp_path: Path, bodies: list[Any]
) -> None:
    """Five bodies to the same approval: each is decided or refused with a typed error."""

    async def work() -> None:
        async with Database.open(database_url, min_size=1, max_size=2) as database:
            desk = Desk(database)
            asked = await desk.ask()
            runner = runner_of(services(database, tools=[desk.refund()]))
            async with client_of(runner, headers={"Parley-User": "rita"}) as http:
                for body in bodies:
                    is_typed(await decide(http, asked, body))

    run_apart(work())
