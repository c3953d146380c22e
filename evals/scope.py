"""Is what a bank's assistant is for told from what people ask elsewhere?

Within: BANKING77; elsewhere: CLINC150 without its questions about banks and cards. The scope is
told by three sentences, and by three sentences with ten questions that are not asked again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.split import digest
from embeddings.base import Embedder
from evals.injection import auroc, read
from evals.spread import share
from safety.classifiers import sources
from safety.policy import Policies
from safety.scope import Scope

SENTENCES = (
    "Questions about a bank account, cards, transfers and payments.",
    "Help with the banking app, top-ups, exchange rates and fees.",
    "Problems with a card: lost, stolen, declined, not working or not arrived.",
)
NEAR = ("banking", "credit_cards")  # domains of CLINC150 that a bank is asked about too
SHARE = 10  # one in so many texts is asked
QUESTIONS = 10


async def run(data: Path, embedder: Embedder) -> dict[str, Any]:
    """Return AUROC and what is kept at the shipped threshold; {} without the sets."""
    within = sorted(sources.rows(data, "banking77"), key=lambda row: digest(row["text"]))
    elsewhere = [
        row
        for row in sources.rows(data, "clinc150")
        if row["domain"] not in NEAR and digest(row["text"])[3] % SHARE == 0
    ]
    if not within or not elsewhere:
        return {}
    questions = [row["text"] for row in within[:QUESTIONS]]
    asked = await read(within[QUESTIONS::SHARE], embedder)
    foreign = await read(elsewhere, embedder)
    least = Policies.load().general.checks.scope.least
    report: dict[str, Any] = {"least": least}
    for name, about in (
        ("sentences", list(SENTENCES)),
        ("sentences_and_questions", [*SENTENCES, *questions]),
    ):
        scope = await Scope.of(about, embedder)
        near = np.array([scope.likeness(vector) for vector in asked.vectors])
        far = np.array([scope.likeness(vector) for vector in foreign.vectors])
        report[name] = {
            "auroc": auroc(near, far),
            "kept_within": share([bool(one >= least) for one in near]),
            "hit_elsewhere": share([bool(one < least) for one in far]),
        }
    return report
