"""The words of a check: what it is asked, what it answers, and what becomes of it all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Severity = Literal["low", "medium", "high", "critical"]
Action = Literal["warn", "redact", "block"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a check noticed. Goes into logs and traces, so it never holds the text."""

    check: str  # the check's name
    severity: Severity
    action: Action
    detail: str  # kinds and counts: "github_token", "3 tag characters"


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of the text that must not go on, and what stands there instead."""

    start: int  # characters
    end: int  # exclusive
    replacement: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check says about one text."""

    findings: tuple[Finding, ...] = ()
    edits: tuple[Edit, ...] = ()
    refusal: str | None = None  # name of a refusal template; set: the text is blocked


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all checks together say about one text."""

    text: str  # what may go on: normalised, redacted; empty for a blocked output
    findings: tuple[Finding, ...] = ()
    refusal: str | None = None  # name of the refusal template when blocked


Direction = Literal["input", "document", "tool_arguments", "tool_result", "output"]
"""On which of its ways through the house a text is."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What was seen in a text, before the policy decides what becomes of it."""

    kind: str  # within its check: "email", "github_token", "override"
    severity: Severity
    start: int = 0  # characters
    end: int = 0  # exclusive; no longer than start: it is about the text as a whole
    replacement: str = ""  # what would stand there instead
    score: float = 1.0  # how sure, in [0, 1]


class Detector(Protocol):
    """Finds things by their form. Pure and quick, so that it runs inside the stream too."""

    @property
    def name(self) -> str:
        """Name of the check that its findings carry: credentials, pii, links, code, toxic."""

    @property
    def opens(self) -> re.Pattern[str] | None:
        """What the end of a text looks like that may be the beginning of something to be found,
        where that goes on behind a blank: "4111 1111" of a card. Matched with `search`, so it
        ends in \\Z; None: nothing that it finds has a blank in it.
        """

    def find(self, text: str) -> Sequence[Hit]:
        """Return what was found, in order, none overlapping another."""


class Check(Protocol):
    """One question asked of a text.

    All checks of a direction see the same text, at the same time, and none sees
    another's answer: their order does not matter. A check that raises, or that is
    not done within `deadline_seconds`, refuses the turn (CheckFailed).
    """

    @property
    def name(self) -> str:
        """Stable name, as findings carry it."""

    @property
    def deadline_seconds(self) -> float:
        """How long it may take."""

    async def __call__(self, text: str, *, protected: str = "") -> Outcome:
        """Look at `text`; `protected` is text that an output must not repeat."""


PASS = Outcome()


def combine(text: str, outcomes: Iterable[Outcome]) -> Verdict:
    """Return one verdict: all findings, all edits applied, the first refusal."""
    outcomes = tuple(outcomes)
    return Verdict(
        text=apply(text, (edit for outcome in outcomes for edit in outcome.edits)),
        findings=tuple(finding for outcome in outcomes for finding in outcome.findings),
        refusal=next((outcome.refusal for outcome in outcomes if outcome.refusal), None),
    )


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with each edit made; of overlapping ones the first names the replacement."""
    parts: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= done:
            parts += (text[done : edit.start], edit.replacement)
        done = max(done, edit.end)
    return "".join((*parts, text[done:]))
