"""Is the process alive, and is everything it needs?"""

from __future__ import annotations

import asyncio

import httpx
import pytest

from api.health import probe
from core.errors import DatabaseUnavailable


def test_health_needs_nothing(client: httpx.Client) -> None:
    """200 while the process serves."""
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_ready_names_every_part(client: httpx.Client) -> None:
    """Database, model server and embedding model answer."""
    answer = client.get("/ready")
    assert answer.status_code == 200, answer.text
    assert {name: part["status"] for name, part in answer.json()["parts"].items()} == {
        "database": "ok",
        "model": "ok",
        "embedder": "ok",
    }


async def test_a_part_that_fails_is_named_without_its_words() -> None:
    """What an error says may hold addresses; its code does not."""

    async def down() -> None:
        raise DatabaseUnavailable("password=secret host=db")

    part = await probe(down)
    assert (part.status, part.error) == ("failed", "database_unavailable")
    assert "secret" not in part.model_dump_json()


async def test_a_part_that_hangs_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe takes two seconds at most."""
    monkeypatch.setattr("api.health.PING_TIMEOUT_SECONDS", 0.01)
    part = await probe(asyncio.Event().wait)
    assert (part.status, part.error) == ("failed", "timeout")


async def test_a_part_with_a_bug_is_a_failed_part() -> None:
    """The probe itself never fails."""

    async def bug() -> None:
        raise ValueError("secret")

    assert (await probe(bug)).error == "internal_error"


def test_home_points_to_the_documentation(client: httpx.Client) -> None:
    """A page for people, JSON for programs."""
    assert client.get("/").json()["docs"] == "/docs"
    page = client.get("/", headers={"accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert 'href="/docs"' in page.text
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").json()["info"]["title"] == "Parley"
