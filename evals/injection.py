"""Are attempts, and requests for harm, told from what only looks like them?

Each set is split by what its near-duplicates share (safety/classifiers/sources.py); the shipped
models learned from the first halves at most, and every figure is about the second.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from embeddings.base import Embedder
from evals.spread import Share, share
from safety.classifiers.gathering import LOOK_ALIKES, QUESTIONS
from safety.classifiers.sources import halves
from safety.harmful import Harmful
from safety.injection import Injection
from safety.policy import Policies

ATTACKS = ("jailbreak_in_the_wild", "cyberseceval_pi", "sysprompt_extraction")
RATES = {"5fpr": 0.05, "1fpr": 0.01}
QUESTIONS_TEXTS = 1500  # of each set
Scores = NDArray[np.float64]

# What one finds in the first lists that come up: the plain way that ours stands beside.
PATTERNS = re.compile(
    r"ignore (?:all |the |any )?(?:previous|prior|above) (?:instructions|prompts?)"
    r"|disregard (?:all |the |any )?(?:previous|prior|above)"
    r"|forget (?:everything|all|your instructions)"
    r"|do anything now|\bdan mode\b|\bjailbr(?:eak|oken)|developer mode"
    r"|you are now (?:in )?|pretend (?:to be|you are)|act as (?:if|an? )"
    r"|without (?:any )?(?:restrictions|limitations|filters?)"
    r"|no (?:restrictions|limitations|filters?)"
    r"|system prompt|reveal your (?:instructions|prompt)|your (?:initial|original) instructions"
    r"|bypass (?:your |the )?(?:filters?|restrictions|safety)|unfiltered",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one set with their vectors."""

    rows: Sequence[Mapping[str, Any]]
    vectors: NDArray[np.float32]

    @property
    def texts(self) -> list[str]:
        """Return the texts alone."""
        return [str(row["text"]) for row in self.rows]


async def run(data: Path, embedder: Embedder) -> dict[str, Any]:
    """Return the figures, {} where the sets are not there."""
    names = (*ATTACKS, *LOOK_ALIKES, *QUESTIONS)
    sets: dict[str, list[Texts]] = {}
    for name in names:
        found = [_wanted(name, half) for half in halves(data, name)]
        if not found[1]:
            return {}
        if name in QUESTIONS:
            found = [half[:: max(1, len(half) // QUESTIONS_TEXTS)] for half in found]
        sets[name] = [await read(half, embedder) for half in found]
    second = {name: some[1] for name, some in sets.items()}
    unsafe = [await read(half, embedder) for half in halves(data, "unsafe_requests")]
    return {
        "injection": injection(sets),
        "over_refusal": over_refusal(second),
        "harmful": harmful(second["xstest"], sets, unsafe),
    }


async def read(rows: Sequence[Mapping[str, Any]], embedder: Embedder) -> Texts:
    """Return rows with the vectors of their texts."""
    return Texts(rows, await embedder.passages([str(row["text"]) for row in rows]))


def _wanted(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if name not in LOOK_ALIKES or row["label"] == 0]


def injection(sets: Mapping[str, Sequence[Texts]]) -> dict[str, Any]:
    """Return recall at fixed false-positive rates, by set and by family, and the others' beside."""
    ours = Injection.load()
    scores = {name: _scores(ours, some[1]) for name, some in sets.items()}
    report: dict[str, Any] = at_rates(scores)
    rates = Policies.load().general.checks.injection
    blocked = {
        name: [bool(hits) and hits[0].severity == "high" for hits in _hits(ours, some[1], rates)]
        for name, some in sets.items()
    }
    report["shipped"] = {
        "block_rate": rates.block_rate,
        "recall": share(_joined(blocked, ATTACKS)),
        "false_positives": share(_joined(blocked, LOOK_ALIKES)),
        "by_set": {name: share(found) for name, found in blocked.items()},
    }
    threshold = quantile(_joined(scores, LOOK_ALIKES), 0.05)
    families: dict[str, list[bool]] = defaultdict(list)
    for row, score in zip(sets["cyberseceval_pi"][1].rows, scores["cyberseceval_pi"], strict=True):
        families[f"{row['type']}_{row['variant']}"].append(bool(score > threshold))
    report["cyberseceval_at_5fpr"] = {name: share(families[name]) for name in sorted(families)}
    report["patterns"] = at_rates(
        {name: np.array(counted(some[1].texts)) for name, some in sets.items()}
    )
    plain = _regression(
        [sets[name][0].vectors for name in ATTACKS], [sets[name][0].vectors for name in LOOK_ALIKES]
    )
    report["logistic_regression"] = at_rates(
        {name: plain.decision_function(some[1].vectors) for name, some in sets.items()}
    )
    return report


def counted(texts: Sequence[str]) -> list[float]:
    """Return how many of the plain patterns each text has."""
    return [float(len(PATTERNS.findall(text))) for text in texts]


def at_rates(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """Return recall where so many look-alikes are hit, all sets together and each alone."""
    guilty, alike = _joined(scores, ATTACKS), _joined(scores, LOOK_ALIKES)
    report: dict[str, Any] = {"auroc": auroc(guilty, alike)}
    for name, rate in RATES.items():
        threshold = quantile(alike, rate)
        report[f"recall_at_{name}"] = share([bool(score > threshold) for score in guilty])
        report[f"by_set_at_{name}"] = {
            one: share([bool(score > threshold) for score in some]) for one, some in scores.items()
        }
    return report


def over_refusal(second: Mapping[str, Texts]) -> dict[str, Any]:
    """Return the share of harmless texts that either classifier blocks at the shipped rates."""
    checks = Policies.load().general.checks
    pairs = (Injection.load(), checks.injection), (Harmful.load(), checks.harmful)
    report: dict[str, Share] = {}
    for name in (*LOOK_ALIKES, *QUESTIONS):
        refused = [False] * len(second[name].rows)
        for ours, rates in pairs:
            for place, hits in enumerate(_hits(ours, second[name], rates)):
                refused[place] |= any(hit.severity == "high" for hit in hits)
        report["xstest_safe" if name == "xstest" else name] = share(refused)
    return report


def harmful(
    safe: Texts, sets: Mapping[str, Sequence[Texts]], unsafe: Sequence[Texts]
) -> dict[str, Any]:
    """Return how requests for harm are told from XSTest's safe ones.

    HarmBench was learned from, its other half is reported; of Do-Not-Answer, whose licence does
    not allow to learn from it, both halves could be, but the same half is.
    """
    ours, rates = Harmful.load(), Policies.load().general.checks.harmful
    found = _scores(ours, unsafe[1])
    harmless = _scores(ours, safe)
    report: dict[str, Any] = {"auroc": auroc(found, harmless)}
    of_harmbench = np.array([row["source"].startswith("harmbench") for row in unsafe[1].rows])
    report["auroc_harmbench"] = auroc(found[of_harmbench], harmless)
    report["auroc_do_not_answer"] = auroc(found[~of_harmbench], harmless)
    for severity in ("high", "medium"):
        hit = [
            any(severity in (one.severity, "medium") for one in hits)
            for hits in _hits(ours, unsafe[1], rates)
        ]
        name = "blocked" if severity == "high" else "warned_or_blocked"
        report[f"{name}_harmbench"] = share(
            [h for h, b in zip(hit, of_harmbench, strict=True) if b]
        )
        report[f"{name}_do_not_answer"] = share(
            [h for h, b in zip(hit, of_harmbench, strict=True) if not b]
        )
    first = [bool(row["source"].startswith("harmbench")) for row in unsafe[0].rows]
    plain = _regression(
        [unsafe[0].vectors[np.array(first)]], [sets[name][0].vectors for name in LOOK_ALIKES]
    )
    strict = np.array(
        [row["category"] not in ("human_chatbox", "misinformation_harms") for row in unsafe[1].rows]
    )
    report["auroc_strictly_unsafe"] = auroc(found[strict], harmless)
    report["logistic_regression_auroc"] = auroc(
        plain.decision_function(unsafe[1].vectors), plain.decision_function(safe.vectors)
    )
    return report


def auroc(guilty: Scores, harmless: Scores) -> float:
    """Return the chance that a guilty text scores higher than a harmless one."""
    labels = [1] * len(guilty) + [0] * len(harmless)
    return round(float(roc_auc_score(labels, np.concatenate([guilty, harmless]))), 4)


def quantile(harmless: Scores, rate: float) -> float:
    """Return the score that at most that share of harmless texts exceeds."""
    return float(np.quantile(harmless, 1 - rate, method="higher"))


def _scores(ours: Injection | Harmful, some: Texts) -> Scores:
    return np.array([ours.model.score(t, v) for t, v in zip(some.texts, some.vectors, strict=True)])


def _hits(ours: Injection | Harmful, some: Texts, rates: Any) -> list[Any]:
    return [
        ours.hits(text, vector, block_rate=rates.block_rate, warn_rate=rates.warn_rate)
        for text, vector in zip(some.texts, some.vectors, strict=True)
    ]


def _regression(guilty: Sequence[Any], harmless: Sequence[Any]) -> LogisticRegression:
    """Return logistic regression over the vectors alone, C = 30."""
    labels = [1] * sum(map(len, guilty)) + [0] * sum(map(len, harmless))
    return LogisticRegression(C=30, max_iter=1000).fit(np.vstack([*guilty, *harmless]), labels)


def _joined(scores: Mapping[str, Any], names: Sequence[str]) -> Any:
    return np.concatenate([scores[name] for name in names])
