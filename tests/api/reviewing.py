"""Reviewers with keys, calls that wait, and a client to decide about them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from api.keys import Keys, digest
from db.pool import Database
from tests.api.inside import client_of, runner_of
from tests.graphs.turns import services
from tests.tools.calls import REVIEWERS, Desk
from tools.approvals import Approval

JSON = {"content-type": "application/json"}
USERS = {
    **{one.user_id: ("user", "reviewer") for one in REVIEWERS},
    "ann": ("user",),
    "eve": ("user", "engineer", "admin"),
}


@pytest.fixture
def desk(database: Database) -> Desk:
    """A tool that counts, and calls that wait."""
    return Desk(database)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """A key for each user, which is the user's name, and one of another tenant."""
    entries = [
        {"sha256": digest(user), "user": user, "roles": list(roles)}
        for user, roles in USERS.items()
    ]
    entries.append(
        {"sha256": digest("olga"), "user": "olga", "tenant": "other", "roles": ["reviewer"]}
    )
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    return Keys(path)


@pytest.fixture
async def http(desk: Desk, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application; the first reviewer's, unless it says otherwise."""
    runner = runner_of(services(desk.database, tools=[desk.refund()]))
    async with client_of(runner, keys, headers=as_("reviewer0")) as opened:
        yield opened


def as_(user: str) -> dict[str, str]:
    """Return the header that says who it is."""
    return {"Authorization": f"Bearer {user}"}


async def decide(
    http: httpx.AsyncClient, asked: Approval, body: Any, user: str = "reviewer0"
) -> httpx.Response:
    """Decide, whatever JSON can be made of it: NaN and lone surrogates as well."""
    path = f"/v1/approvals/{asked.approval_id}/decision"
    return await http.post(path, content=json.dumps(body).encode(), headers={**JSON, **as_(user)})


def error_of(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
