"""Finds the sentences of the sources that support an answer, and weighs whether any does.

Three linear models read the same evidence (parameters.json, fitted by evals/abstention.py):
the first picks from words alone what is worth embedding, the second ranks that,
the third says whether the best of it supports an answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tgi.embedded.features import Candidate, candidates, lexical, ranking, support
from tgi.embedded.parameters import Parameters
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question
from tgi.embedded.vectors import Vectors

EMBEDDED = 8  # sentences embedded a question; 25 rank no better (docs/decisions/0007)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A candidate, and its share of the belief that it is the one that answers."""

    candidate: Candidate
    share: float  # in (0, 1]; the shares of all evidence add up to 1


@dataclass(frozen=True, slots=True)
class Finding:
    """What the sources have to say to a question."""

    evidence: tuple[Evidence, ...]  # best first
    supported: bool


async def find(
    question: Question, sources: Sequence[Source], vectors: Vectors, parameters: Parameters
) -> Finding:
    """Return the evidence for an answer, best first, and whether it is enough for one."""
    found = candidates(sources)
    if not found or not question.words:
        return Finding((), supported=False)
    table = await asyncio.to_thread(lexical, question, sources, found)
    likely = np.argsort(-(table @ parameters.prefilter), kind="stable")[:EMBEDDED]
    kept = np.sort(likely)
    asked = await vectors.query(question.text)
    told = await vectors.passages([found[index].text for index in kept])
    rows = ranking(table[kept], told @ asked)
    scores = rows @ parameters.ranking
    order = np.argsort(-scores, kind="stable")
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    chosen = [found[kept[index]] for index in order]
    measured = support(question, sources, found, chosen, rows[order], scores[order])
    margin = float(measured @ parameters.support) + parameters.intercept
    return Finding(
        tuple(
            Evidence(candidate, float(shares[index]))
            for candidate, index in zip(chosen, order, strict=True)
        ),
        supported=margin >= parameters.threshold,
    )
