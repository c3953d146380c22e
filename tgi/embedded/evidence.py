"""Finds the sentences of the sources that support an answer, and weighs whether any does.

Three models read the same evidence (parameters.json, fitted by evals/abstention.py): the first
picks from words alone which windows are worth reading closely, the second ranks their sentences,
the third says whether the best of them supports an answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tgi.embedded.conflicts import conflicting
from tgi.embedded.context import Asked, Reading, Readings, Window, compare, cut, likeliest
from tgi.embedded.features import Candidate, Table, candidates, lexical
from tgi.embedded.parameters import Meaning, Parameters
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question
from tgi.embedded.support import support


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
    against: Candidate | None = None  # of another source, contradicting the best evidence


async def find(
    question: Question, sources: Sequence[Source], readings: Readings, parameters: Parameters
) -> Finding:
    """Return the evidence for an answer, best first, and whether it is enough for one."""
    found = [
        candidate
        for candidate in candidates(sources)
        if not question.repeated_by(candidate.text, code=candidate.kind == "code")
    ]
    if not found or not question.words:
        return Finding((), supported=False)
    table = await asyncio.to_thread(lexical, question, sources, found)
    windows = likeliest(cut(sources, found, readings.offsets), table @ parameters.prefilter)
    asked = await readings.question(question.text)
    read = await readings.windows([window.text for window in windows])
    kept, rows = measured(table, asked, windows, read, parameters.meaning)
    scores = rows @ parameters.ranking
    order = np.argsort(-scores, kind="stable")
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    chosen = [found[kept[index]] for index in order]
    weighed = support(question, sources, found, chosen, rows[order], scores[order])
    return Finding(
        tuple(
            Evidence(candidate, float(shares[index]))
            for candidate, index in zip(chosen, order, strict=True)
        ),
        supported=float(parameters.support(weighed[None])[0]) >= parameters.threshold,
        against=conflicting(question, sources, chosen),
    )


def measured(
    table: Table,
    asked: Asked,
    windows: Sequence[Window],
    read: Sequence[Reading],
    meaning: Meaning,
) -> tuple[NDArray[np.intp], Table]:
    """Return which candidates the windows hold, and their RANKING features.

    table: the LEXICAL features of all candidates.
    """
    kept = np.array([row for window in windows for row in window.rows], np.intp)
    context, vectors = compare(asked, windows, read)
    return kept, np.column_stack([table[kept], context, meaning(asked.vector, vectors)])
