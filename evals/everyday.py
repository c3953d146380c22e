"""How often is what people write to an agent every day taken for an attempt, or for harm?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embeddings.base import Embedder
from evals.spread import share
from safety.classifiers import sources
from safety.classifiers.gathering import EVERYDAY
from safety.harmful import Harmful
from safety.injection import Injection
from safety.policy import Policies

UNLEARNED = ("locomo", "docs_questions", "qed_nq")
MOST_TEXTS = 1000  # of each set


async def run(data: Path, embedder: Embedder) -> dict[str, Any]:
    """Return by set the shares blocked and warned of at the shipped rates, {} without the sets.

    Of sets that the models learned from, the second halves; of the others, both.
    """
    report: dict[str, Any] = {}
    checks = Policies.load().general.checks
    pairs = (Injection.load(), checks.injection), (Harmful.load(), checks.harmful)
    for name in (*EVERYDAY, *UNLEARNED):
        first, second = sources.halves(data, name)
        reported = [*first, *second] if name in UNLEARNED else second
        texts = [row["text"] for row in reported[:: max(1, len(reported) // MOST_TEXTS)]]
        if not texts:
            continue
        worst = []
        for text, vector in zip(texts, await embedder.passages(texts), strict=True):
            severities = {
                hit.severity
                for ours, rates in pairs
                for hit in ours.hits(
                    text, vector, block_rate=rates.block_rate, warn_rate=rates.warn_rate
                )
            }
            worst.append("high" if "high" in severities else "".join(severities))
        report[name] = {
            "blocked": share([one == "high" for one in worst]),
            "warned": share([one == "medium" for one in worst]),
        }
    return report
