"""The words of a check: what it saw, and what a policy makes of that.

A check only sees and rates. What becomes of what it saw - a note, a cut, a refusal - is for the
policy of the tenant to say (`TenantPolicy.action`), and `decide` carries it out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

Severity = Literal["low", "medium", "high", "critical"]
Action = Literal["warn", "redact", "block"]
Direction = Literal["input", "document", "tool_arguments", "tool_result", "output"]
"""On which of its ways through the house a text is."""

WITHHELD = "[withheld]"  # stands for what was cut out and has no mark of its own


@dataclass(frozen=True, slots=True)
class Hit:
    """What was seen in a text, before the policy decides what becomes of it."""

    kind: str  # within its check: "email", "github_token", "override"
    severity: Severity
    start: int = 0  # characters
    end: int = 0  # exclusive; not beyond start where it is about the whole text
    replacement: str = ""  # what would stand there instead
    score: float = 1.0  # how sure, in [0, 1]

    @property
    def is_whole(self) -> bool:
        """Whether it is about the text as a whole."""
        return self.end <= self.start


@dataclass(frozen=True, slots=True)
class Finding:
    """What was decided about hits. Goes into logs and traces, so it never holds the text."""

    check: str  # the check's name
    severity: Severity
    action: Action
    detail: str  # kinds and counts: "github_token", "email x3"
    direction: Direction = "output"


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of the text that must not go on, and what stands there instead."""

    start: int  # characters
    end: int  # exclusive
    replacement: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all checks together say about one text."""

    text: str  # what may go on: normalised, redacted; empty for a blocked output
    findings: tuple[Finding, ...] = ()
    refusal: str | None = None  # name of the refusal template when blocked


@dataclass(frozen=True, slots=True)
class About:
    """What a check may know about a text besides the text."""

    tenant_id: str = "default"
    protected: str = ""  # our own instructions: an output must not give them away
    sources: tuple[str, ...] = ()  # texts of the turn whose links an answer may repeat
    names: tuple[str, ...] = ()  # of the user, as their profile has them


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


Judge = Callable[[str, Hit], Action | None]
"""Says what becomes of a hit of the named check; None: nothing, not even a note."""


def decide(
    text: str, seen: Mapping[str, Sequence[Hit]], judge: Judge, direction: Direction
) -> Verdict:
    """Return one verdict: all findings, all edits made, the first refusal by order of checks.

    A hit about the whole text cannot be cut out of it: to redact it is to block.
    """
    findings: list[Finding] = []
    edits: list[Edit] = []
    refusal: str | None = None
    for check, hits in seen.items():
        for hit in hits:
            action = judge(check, hit)
            if action is None:
                continue
            if action == "redact" and hit.is_whole:
                action = "block"
            findings.append(Finding(check, hit.severity, action, hit.kind, direction))
            if action == "block":
                refusal = refusal or check
            elif action == "redact":
                edits.append(Edit(hit.start, hit.end, hit.replacement or WITHHELD))
    return Verdict(apply(text, edits), gathered(findings), refusal)


def gathered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings with those that say the same as one, which says how many they are."""
    counted = Counter(findings)
    return tuple(
        one if n == 1 else replace(one, detail=f"{one.detail} x{n}") for one, n in counted.items()
    )


def apart(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits in order, without those that overlap an earlier, longer one."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with each edit made; of overlapping ones the first names the replacement."""
    parts: list[str] = []
    done = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= done:
            parts += (text[done : edit.start], edit.replacement)
        done = max(done, edit.end)
    return "".join((*parts, text[done:]))
