"""Is personal data found, and nothing else masked? Ours beside a plain list of patterns.

Data: texts of presidio-research's templates (see the set's own README). What was looked at while
the rules were written are the templates that evals/split.py calls the first half; the figures are
of the other half. A finding counts when its kind and both its ends are right. Kinds covered: mail
addresses, phones, cards, IBANs, American social security numbers, IP addresses. Pages (URL) are
reported beside them: they are found where they are asked for, and not by default.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.split import in_first_half
from evals.cases import read
from evals.spread import share
from safety.pii import KINDS, Pii

COVERED = {
    "EMAIL": "email",
    "PHONE": "phone",
    "CREDIT_CARD": "credit_card",
    "IBAN": "iban",
    "US_SSN": "us_ssn",
    "IP_ADDRESS": "ip_address",
}
# What one writes down in ten minutes, for comparison.
PLAIN = {
    "email": r"[\w.+-]+@[\w-]+\.[\w.-]*\w",
    "credit_card": r"\b(?:\d{4}[ -]?){3}\d{1,7}\b",
    "iban": r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b",
    "us_ssn": r"\b\d{3}-\d{2}-\d{4}\b",
    "ip_address": r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    "phone": r"(?<!\w)\+?\(?\d[\d ()./-]{5,18}\d(?!\w)",
}

Span = tuple[int, int, str]
Finder = Callable[[str], set[Span]]


async def run(data: Path) -> dict[str, Any]:
    """Return the figures on the templates kept back; {} without data."""
    rows = read(data / "pii", "texts")
    kept = [row for row in rows if not in_first_half(row["template"])]
    if not kept:
        return {}
    detector, with_pages = Pii(), Pii([*KINDS, "url"])
    pages = figures(kept, lambda text: spans(with_pages, text), COVERED | {"URL": "url"})
    return {
        **figures(kept, lambda text: spans(detector, text), COVERED),
        "url": pages["by_kind"].get("url", {}),
        "plain_patterns": figures(kept, plain, COVERED),
    }


def spans(detector: Pii, text: str) -> set[Span]:
    """Return what a detector finds."""
    return {(hit.start, hit.end, hit.kind) for hit in detector.find(text)}


def plain(text: str) -> set[Span]:
    """Return what the plain patterns find; of two that overlap the one named first stands."""
    found: list[Span] = []
    for kind, pattern in PLAIN.items():
        for match in re.finditer(pattern, text):
            start, end = match.span()
            if all(end <= other[0] or other[1] <= start for other in found):
                found.append((start, end, kind))
    return set(found)


def figures(
    rows: Sequence[Mapping[str, Any]], find: Finder, covered: Mapping[str, str]
) -> dict[str, Any]:
    """Return F1 over all kinds and of each, and the share of rows without any that is flagged."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    flagged = []
    for row in rows:
        seen = find(row["text"])
        if not row["spans"]:
            flagged.append(bool(seen))
        gold = {
            (span["start"], span["end"], covered[span["type"]])
            for span in row["spans"]
            if span["type"] in covered
        }
        seen = {one for one in seen if one[2] in covered.values()}
        right.update(kind for *_, kind in seen & gold)
        found.update(kind for *_, kind in seen)
        marked.update(kind for *_, kind in gold)
    return {
        "micro_f1": f1(right.total(), found.total(), marked.total()),
        "flagged_without_pii": share(flagged),
        "by_kind": {
            kind: {
                "precision": share([True] * right[kind] + [False] * (found[kind] - right[kind])),
                "recall": share([True] * right[kind] + [False] * (marked[kind] - right[kind])),
                "f1": f1(right[kind], found[kind], marked[kind]),
            }
            for kind in covered.values()
            if found[kind] or marked[kind]
        },
    }


def f1(right: int, found: int, marked: int) -> float:
    """Return the harmonic mean of precision and recall; 0 when nothing was right."""
    return round(2 * right / (found + marked), 4) if right else 0.0
