"""What a turn searches for, what it may find, and what its log says about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.events import Event
from core.settings import KnowledgeSettings
from core.telemetry import NullTracer
from db import turns
from db.pool import Database
from embeddings.minilm import MiniLM
from graphs.runner import Runner
from knowledge.access import Access
from knowledge.ingest import ingest
from knowledge.search import Search
from nodes.context import Limits
from tests.graphs.test_checks import SayingModel
from tests.graphs.turns import QUICK, TENANT, begin, events, services

Ask = Callable[..., Awaitable[tuple[list[Event], turns.TurnLog]]]
FILLER = "The gardener waters roses in the evening, because the sun burns wet leaves. " * 12


@pytest.fixture
def ask(database: Database, embedder: MiniLM) -> Ask:
    """Run a turn over the real search: `await ask("question", "what the model says", ...)`."""

    async def run(
        text: str, *said: str, limits: Limits | None = None
    ) -> tuple[list[Event], turns.TurnLog]:
        used: Any = services(database, SayingModel().say(*(said or ("It is so [1].",))))
        used = replace(used, search=Search(embedder), embedder=embedder)
        async with Runner(used, limits or Limits(), QUICK, NullTracer()) as runner:
            run = await begin(runner, text)
            log = await events(runner, run)
        async with database.transaction(TENANT) as conn:
            return log, await turns.get(conn, UUID(run.run_id))

    return run


@pytest.fixture
def write(database: Database, embedder: MiniLM, tmp_path: Path) -> Callable[..., Awaitable[None]]:
    """Ingest a document: `await write("name.md", "text", access=...)`."""

    async def put(name: str, text: str, access: Access | None = None) -> None:
        path = tmp_path / name
        path.write_text(text)
        done = await ingest(
            database,
            embedder,
            [path],
            tenant_id=TENANT,
            settings=KnowledgeSettings(_env_file=None),
            access=access or Access(),
        )
        assert not done.failures

    return put


async def test_what_a_user_may_not_read_never_reaches_a_prompt(
    write: Callable[..., Awaitable[None]], ask: Ask
) -> None:
    """A document of somebody else is in no source, prompt or log, however well it would answer."""
    await write("open.md", "# Salaries\n\nSalaries are paid on the last day of the month.")
    await write("hers.md", "# Salary\n\nThe salary of Ann is 7341 coins.", Access(owners=("ann",)))
    await write("mine.md", "# My salary\n\nYour salary is 5120 coins.", Access(owners=("local",)))
    log, stored = await ask("What is the salary of Ann?")
    shown = repr(log) + repr(stored)
    assert "7341" not in shown
    assert "hers.md" not in shown
    assert {p["title"] for p in stored.passages} == {"Salaries", "My salary"}
    assert "5120" in repr(stored.prompt)


async def test_each_of_two_questions_finds_its_passage(
    write: Callable[..., Awaitable[None]], ask: Ask
) -> None:
    """A question that asks two things is searched whole and in parts; the log names the queries."""
    await write("a.md", f"# Bread\n\nBread is baked at four in the morning.\n\n{FILLER}")
    await write("b.md", f"# Ferries\n\nThe ferry to Hiiumaa takes 75 minutes.\n\n{FILLER}")
    _, stored = await ask(
        "When is the bread baked and how long does the ferry take to Hiiumaa?",
        limits=Limits(passages=2),
    )
    assert {p["title"] for p in stored.passages} == {"Bread", "Ferries"}
    queries = stored.retrieval["queries"]
    assert [one["why"] for one in queries][:3] == ["asked", "part", "part"]
    assert queries[1]["query"].startswith("When is the bread baked")
    assert all(one["found"] for one in queries)
    assert [[p["chunk_id"]] for p in stored.passages] == stored.retrieval["assembly"]["passages"]


async def test_a_citation_names_the_chunk_that_a_merged_passage_was_cited_for(
    write: Callable[..., Awaitable[None]], ask: Ask
) -> None:
    """Neighbouring chunks are one source; a citation still names the one its sentence rests on."""
    first = "The lighthouse of Kõpu was lit in 1531. " + "Its keeper climbs many steps daily. " * 45
    second = "The lighthouse lamp shines for 26 nautical miles. " + "Ships see it in fog. " * 30
    await write("kopu.md", f"# Lighthouse\n\n{first}\n\n{second}")
    said = "The lighthouse lamp shines for 26 nautical miles [1]."
    log, stored = await ask("How far does the lamp of the lighthouse shine?", said)
    [passage] = stored.passages
    assert len(passage["parts"]) > 1
    [cited] = [event.data for event in log if event.type == "citation"]
    assert cited["quote"] == "The lighthouse lamp shines for 26 nautical miles."
    assert cited["chunk_id"] in {part["chunk_id"] for part in passage["parts"][1:]}
    changes = stored.retrieval["assembly"]["changes"]
    assert {one["reason"] for one in changes} == {"neighbour"}
