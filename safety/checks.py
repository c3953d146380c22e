"""Which checks there are, and which of them see which texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from embeddings.base import Vector
from safety.forms import BLOCKLIST, FORMS, Form
from safety.normalise import skeleton
from safety.policy import TenantPolicy
from safety.signals import SIGNALS
from safety.verdict import About, Direction, Hit

DEADLINE_SECONDS = 5.0  # of each check: far above what it takes, far below what a user waits


@dataclass(frozen=True, slots=True)
class Subject:
    """One text, as a check is asked about it."""

    text: str
    direction: Direction
    about: About
    policy: TenantPolicy
    vector: Vector | None = None  # its embedding, in the direction `input`


class Check(Protocol):
    """One question asked of a text.

    All checks of a direction see the same text, at the same time, and none sees
    another's answer: their order does not matter. A check that raises, or that is
    not done within `deadline_seconds`, refuses the turn (CheckFailed).
    """

    @property
    def name(self) -> str:
        """Stable name, as findings and policies carry it."""

    @property
    def deadline_seconds(self) -> float:
        """How long it may take."""

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Look at the text; return what was seen."""


class Formal:
    """A detector as a check: what stands in the text by its form."""

    deadline_seconds = DEADLINE_SECONDS

    def __init__(self, name: str, form: Form) -> None:
        self.name = name
        self._form = form

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Return what the detector finds."""
        detector = self._form(subject.policy, subject.about)
        return () if detector is None else detector.find(subject.text)


class Injection:
    """Attempts to talk the assistant out of its rules."""

    name = "injection"
    deadline_seconds = DEADLINE_SECONDS

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Return a hit about the whole text, or nothing."""
        seen = skeleton(subject.text)
        found = [signal for signal in SIGNALS if signal.pattern.search(seen)]
        weight = sum(signal.weight for signal in found)
        kind = "+".join(signal.name for signal in found)
        if weight >= 4:
            return [Hit(kind, "high")]
        return [Hit(kind, "medium")] if weight >= 2 else []


def checks() -> dict[Direction, tuple[Check, ...]]:
    """Return the checks of each direction."""
    form = {name: Formal(name, make) for name, make in FORMS.items()}
    private = (form["credentials"],)
    listed = form[BLOCKLIST]
    return {
        "input": (Injection(), listed, *private),
        "document": private,
        "tool_arguments": (listed, *private),
        "tool_result": private,
        "output": tuple(form.values()),
    }
