"""Which checks there are, and which of them see which texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from embeddings.base import Vector
from safety.forms import BLOCKLIST, FORMS, Form
from safety.injection import Injection
from safety.policy import TenantPolicy
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


class Attempt:
    """Attempts to talk the assistant out of its rules, by a classifier and by signals."""

    name = "injection"
    deadline_seconds = DEADLINE_SECONDS

    def __init__(self) -> None:
        self._injection = Injection.load()

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Return a hit about the whole text, or nothing; raises ValueError without a vector."""
        if subject.vector is None:
            raise ValueError("the classifier needs the text's embedding")
        rule = subject.policy.checks.injection
        return self._injection.hits(
            subject.text,
            subject.vector,
            block_rate=rule.block_rate,
            warn_rate=rule.warn_rate,
        )


def checks() -> dict[Direction, tuple[Check, ...]]:
    """Return the checks of each direction."""
    form = {name: Formal(name, make) for name, make in FORMS.items()}
    private = (form["pii"], form["credentials"])
    listed = form[BLOCKLIST]
    return {
        "input": (Attempt(), listed, *private),
        "document": private,
        "tool_arguments": (listed, *private),
        "tool_result": private,
        "output": tuple(form.values()),
    }
