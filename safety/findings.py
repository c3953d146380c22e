"""Findings as they are kept: in the turn log, in traces, in the audit log."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from safety.verdict import Verdict

DIGITS = 32  # of a digest


def noted(verdict: Verdict, text: str, run_id: str) -> list[dict[str, Any]]:
    """Return what a verdict decided, as data, with a digest of the text it was about."""
    if not verdict.findings:
        return []
    known = digest(text, run_id)
    return [{**asdict(finding), "digest": known} for finding in verdict.findings]


def digest(text: str, run_id: str) -> str:
    """Return what tells whether a text was this one, to whoever has the text.

    The run's id goes in first: the same text looks different in every run, so that nobody can
    look up what many people wrote, nor count who wrote it.
    """
    data = f"{run_id}\n{text}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:DIGITS]
