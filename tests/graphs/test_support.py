"""Sentences without support are dropped or marked, and the turn log says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from core.events import Event
from core.telemetry import NullTracer
from core.turn import Passage
from db import turns
from db.pool import Database
from embeddings.minilm import MiniLM
from graphs.runner import Runner
from nodes.context import Limits
from nodes.support import Policy
from tests.graphs.test_checks import SayingModel, said
from tests.graphs.turns import QUICK, TENANT, begin, events, services
from tests.nodes.passages import passage

FALSE = "It boils at 90 degrees on the sea [1]. "


async def search(*args: Any, **kwargs: Any) -> list[Passage]:
    """Return one passage."""
    return [passage(1, "Water boils at 100 degrees at sea level. It freezes at 0 degrees.")]


async def turn(
    database: Database, embedder: MiniLM, policy: Policy, *pieces: str
) -> tuple[list[Event], turns.TurnLog, dict[str, float]]:
    """Run one turn whose model says these pieces; return events, log and counts."""
    used: Any = services(database, SayingModel().say(*pieces))
    used = replace(used, search=search, embedder=embedder)
    async with Runner(used, Limits(unsupported=policy), QUICK, NullTracer()) as runner:
        run = await begin(runner)
        log = await events(runner, run)
    async with database.transaction(TENANT) as conn:
        stored = await turns.get(conn, UUID(run.run_id))
    counted = {
        sample.labels["outcome"]: sample.value
        for metric in used.metrics.answer_sentences.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    return log, stored, counted


@pytest.mark.parametrize(
    ("policy", "shown", "outcome"),
    [
        ("drop", "Water boils at 100 degrees [1]. It freezes at 0 degrees [1].", "dropped"),
        (
            "mark",
            "Water boils at 100 degrees [1]. It boils at 90 degrees on the sea [1]. "
            "(not supported by the source) It freezes at 0 degrees [1].",
            "marked",
        ),
        (
            "keep",
            f"Water boils at 100 degrees [1]. {FALSE}It freezes at 0 degrees [1].",
            "kept",
        ),
    ],
)
async def test_a_sentence_that_its_source_does_not_support(
    database: Database, embedder: MiniLM, policy: Policy, shown: str, outcome: str
) -> None:
    """It never leaves, leaves with a mark, or leaves as it is; logged and counted in every case."""
    pieces = ("Water boils at 100 degrees [1]. ", FALSE, "It freezes at 0 degrees [1].")
    log, stored, counted = await turn(database, embedder, policy, *pieces)
    assert said(log) == shown
    assert [(entry["why"], entry["action"]) for entry in stored.support] == [
        ("quoted", "kept"),
        ("number", outcome),
        ("quoted", "kept"),
    ]
    assert counted == {"supported": 2.0, outcome: 1.0}


async def test_an_answer_of_which_nothing_is_left_is_an_abstention(
    database: Database, embedder: MiniLM
) -> None:
    """Without one supported sentence Parley does not know, and a claim before it never left."""
    log, stored, _ = await turn(database, embedder, "drop", "Water boils at once. ", FALSE)
    assert said(log).startswith("I don't know")
    assert stored.outcome == "abstained"
    assert stored.raw_answer.endswith(FALSE)
    assert [event.type for event in log if event.type == "citation"] == []


async def test_code_is_not_read_as_a_claim(database: Database, embedder: MiniLM) -> None:
    """What stands between fences leaves with the sentence that cites for it."""
    code = "Water boils at 100 degrees [1]:\n\n```\nboil(water, 90, Kelvin)\n```\n"
    log, _, _ = await turn(database, embedder, "drop", code)
    assert said(log) == code
