"""What was spent is shown to who spent it, and all of it to who answers for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from api.keys import Keys, digest
from db.pool import Database
from tests.api.inside import client_of, runner_of
from tests.api.test_fuzz import is_typed
from tests.graphs.turns import services

TODAY = datetime.now(UTC).date()


@pytest.fixture
async def spent(database: Database) -> Database:
    """A database with what three users of two tenants have spent."""
    rows = [
        ("acme", 0, "ann", "small", 100, 10, 0.1),
        ("acme", 0, "ann", "big", 200, 20, 0.7),
        ("acme", 1, "ben", "small", 300, 30, 0.3),
        ("acme", 400, "ann", "small", 999, 99, 9.9),
        ("else", 0, "ann", "small", 7, 7, 7.0),
    ]
    for number, (tenant, days, *rest) in enumerate(rows):
        async with database.transaction(tenant) as conn:
            await conn.execute(
                """insert into spending (tenant_id, run_id, number, day, thread_id, task, user_id,
                                         model, prompt_tokens, completion_tokens, usd)
                   values (%s, gen_random_uuid(), %s, %s, gen_random_uuid(), 'answer',
                           %s, %s, %s, %s, %s)""",
                [tenant, number, TODAY - timedelta(days=days), *rest],
            )
    return database


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Keys of a user, an admin and an engineer, and one of another tenant's user."""
    holders: list[dict[str, Any]] = [
        {"user": "ann", "tenant": "acme"},
        {"user": "ada", "tenant": "acme", "roles": ["admin"]},
        {"user": "eve", "tenant": "acme", "roles": ["user", "engineer"]},
        {"user": "ray", "tenant": "acme", "roles": ["reviewer"]},
    ]
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump([{"sha256": digest(h["user"]), **h} for h in holders]))
    return Keys(path)


@pytest.fixture
async def http(spent: Database, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application."""
    opened: AbstractAsyncContextManager[httpx.AsyncClient] = client_of(
        runner_of(services(spent)), keys
    )
    async with opened as client:
        yield client


async def usage(http: httpx.AsyncClient, key: str, **params: Any) -> Any:
    """Ask as the holder of a key."""
    wanted = {"from": str(TODAY - timedelta(days=7)), **params}
    headers = {"Authorization": f"Bearer {key}"}
    return (await http.get("/v1/usage", params=wanted, headers=headers)).json()


async def test_a_user_sees_what_is_their_own(http: httpx.AsyncClient) -> None:
    """Neither another user's spending nor another tenant's."""
    assert await usage(http, "ann", by="model") == {
        "from": str(TODAY - timedelta(days=7)),
        "to": str(TODAY),
        "by": "model",
        "of": "own",
        "rows": [
            {
                "key": "big",
                "calls": 1,
                "prompt_tokens": 200,
                "completion_tokens": 20,
                "cost_usd": 0.7,
            },
            {
                "key": "small",
                "calls": 1,
                "prompt_tokens": 100,
                "completion_tokens": 10,
                "cost_usd": 0.1,
            },
        ],
        "total": {
            "key": "",
            "calls": 2,
            "prompt_tokens": 300,
            "completion_tokens": 30,
            "cost_usd": 0.8,
        },
    }


@pytest.mark.parametrize("who", ["ada", "eve"])
async def test_who_answers_for_the_tenant_sees_all_of_it(http: httpx.AsyncClient, who: str) -> None:
    """Admins and engineers; days in order, users by what they cost."""
    seen = await usage(http, who, by="user")
    assert seen["of"] == "all"
    assert [(row["key"], row["cost_usd"]) for row in seen["rows"]] == [("ann", 0.8), ("ben", 0.3)]
    assert seen["total"]["cost_usd"] == 1.1
    days = (await usage(http, who))["rows"]
    assert [row["key"] for row in days] == [str(TODAY - timedelta(days=1)), str(TODAY)]


async def test_other_roles_see_their_own(http: httpx.AsyncClient) -> None:
    """A reviewer's is nothing here."""
    seen = await usage(http, "ray")
    assert (seen["of"], seen["rows"], seen["total"]["calls"]) == ("own", [], 0)


async def test_the_days_that_are_meant(http: httpx.AsyncClient) -> None:
    """Both ends count; without them it is this month until today."""
    old = TODAY - timedelta(days=400)
    seen = await usage(http, "ann", **{"from": str(old), "to": str(old)})
    assert [row["cost_usd"] for row in seen["rows"]] == [9.9]
    headers = {"Authorization": "Bearer ann"}
    seen = (await http.get("/v1/usage", headers=headers)).json()
    assert (seen["from"], seen["to"]) == (str(TODAY.replace(day=1)), str(TODAY))


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"from": "2025-01-01", "to": "2026-01-02"},
        {"from": "yesterday"},
        {"from": "2026-02-30"},
        {"to": "0001-01-01"},
        {"by": "tenant"},
    ],
)
async def test_what_is_no_period_is_refused(http: httpx.AsyncClient, params: Any) -> None:
    """With the parameter that is at fault."""
    error = (await usage(http, "ada", **params))["error"]
    assert error["code"] == "invalid_input"
    assert error["param"] in ("from", "to", "by")


async def test_strange_values_are_refused(http: httpx.AsyncClient) -> None:
    """Never a server error."""
    for value in ("", "\x00", "’" * 40, "NaN", "9999-12-31", "10000-01-01", "-1", "1e99"):
        for name in ("from", "to", "by"):
            headers = {"Authorization": "Bearer ada"}
            is_typed(await http.get("/v1/usage", params={name: value}, headers=headers))
