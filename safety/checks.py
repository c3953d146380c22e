"""Which checks there are, and which of them see which texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from embeddings.base import Embedder, Vector
from safety.classifiers.pieces import Kind
from safety.forms import BLOCKLIST, FORMS, Form
from safety.harmful import Harmful
from safety.injection import Injection
from safety.policy import TenantPolicy
from safety.scope import Scope
from safety.untrusted import Untrusted
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


class Classified:
    """What a classifier thinks of a user's text as a whole."""

    deadline_seconds = DEADLINE_SECONDS

    def __init__(self, name: str, classifier: Injection | Harmful) -> None:
        self.name = name
        self._classifier = classifier

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Return a hit about the whole text, or nothing; raises ValueError without a vector."""
        rule = subject.policy.rated(self.name)
        if not rule.enabled:
            return ()
        if subject.vector is None:
            raise ValueError("the classifier needs the text's embedding")
        return self._classifier.hits(
            subject.text, subject.vector, block_rate=rule.block_rate, warn_rate=rule.warn_rate
        )


class Scoped:
    """What the assistant is not there for, where a policy says what it is there for."""

    name = "scope"
    deadline_seconds = DEADLINE_SECONDS

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: dict[tuple[str, ...], Scope] = {}  # as many as there are tenants with a scope

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Return a hit about the whole text, or nothing; raises ValueError without a vector."""
        rule = subject.policy.checks.scope
        if not (rule.enabled and rule.about):
            return ()
        if subject.vector is None:
            raise ValueError("a scope is told by the text's embedding")
        if rule.about not in self._known:
            self._known[rule.about] = await Scope.of(rule.about, self._embedder)
        return self._known[rule.about].hits(subject.vector, least=rule.least)


class Screened:
    """Instructions inside texts by strangers."""

    name = "untrusted"
    deadline_seconds = 4 * DEADLINE_SECONDS  # it may embed a few dozen sentences

    def __init__(self, untrusted: Untrusted) -> None:
        self._untrusted = untrusted

    async def __call__(self, subject: Subject) -> Sequence[Hit]:
        """Return a hit for each sentence that reads like an instruction."""
        rule = subject.policy.rated(self.name)
        if not rule.enabled:
            return ()
        kind: Kind = "tool_result" if subject.direction == "tool_result" else "document"
        return await self._untrusted.screen(
            subject.text, kind=kind, block_rate=rule.block_rate, warn_rate=rule.warn_rate
        )


def checks(embedder: Embedder) -> dict[Direction, tuple[Check, ...]]:
    """Return the checks of each direction. Reads the classifiers' files."""
    form = {name: Formal(name, make) for name, make in FORMS.items()}
    private = (form["pii"], form["presidio"], form["credentials"])
    screened = Screened(Untrusted.load(embedder))
    classified = (
        Classified("injection", Injection.load()),
        Classified("harmful", Harmful.load()),
    )
    return {
        "input": (*classified, Scoped(embedder), form[BLOCKLIST], *private),
        "document": (screened, *private),
        "tool_arguments": (form[BLOCKLIST], *private),
        "tool_result": (screened, *private),
        "output": tuple(form.values()),
    }
