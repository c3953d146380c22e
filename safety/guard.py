"""The gate that text passes on its way in and on its way out.

A check that cannot run refuses: every error and every missed deadline is a CheckFailed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from core.errors import CheckFailed, SettingsInvalid
from core.metrics import Metrics
from core.text import MAX_INPUT_CHARACTERS, accept, scrub
from embeddings.base import Embedder
from safety import checks
from safety.checks import Check, Subject
from safety.forms import detectors, presidio
from safety.gate import StreamGate
from safety.leaving import Leaving
from safety.masking import Placeholding
from safety.normalise import normalise
from safety.policy import Policies
from safety.verdict import About, Direction, Finding, Hit, Judge, Verdict, decide

if TYPE_CHECKING:
    from guardrails import AsyncGuard  # type: ignore[import-untyped]

__all__ = ["About", "Finding", "Guard", "Verdict"]

NOBODY = About()
KEY_VARIABLE = "SAFETY_PLACEHOLDER_KEY"
Restore = Callable[[str], str]


class Guard:
    """Checks in every direction; lives as long as the process and keeps no text."""

    def __init__(
        self,
        guarded: Mapping[Direction, tuple[tuple[Check, ...], AsyncGuard[str]]],
        policies: Policies,
        embedder: Embedder,
        metrics: Metrics,
        key: bytes | None,
    ) -> None:
        self._guarded = guarded
        self.policies = policies
        self._embedder = embedder
        self._metrics = metrics
        self._key = key
        if key is None and not all(policy.masking.reversible for policy in policies.all):
            raise SettingsInvalid(f"{KEY_VARIABLE}: masking that is not reversible needs a key.")

    @classmethod
    def build(
        cls,
        embedder: Embedder,
        policies: Policies | None = None,
        *,
        metrics: Metrics | None = None,
        key: bytes | None = None,
        only: Mapping[Direction, Sequence[Check]] | None = None,
    ) -> Guard:
        """Return a guard with our checks. Takes seconds: run it in a thread.

        embedder: what the classifiers of the input read a text with.
        key: for digests of personal data where its values are not kept.
        only: other checks for these directions. Raises ValueError where there would be none,
        SettingsInvalid where a policy needs a key.
        Imports guardrails-ai, with its telemetry off, and opens no connection.
        """
        from safety.quiet import silence

        silence()
        from safety.validators import guard

        used = {
            **checks.checks(embedder),
            **{name: tuple(some) for name, some in (only or {}).items()},
        }
        for name, some in used.items():
            if not some:
                raise ValueError(f"a guard for {name} without checks would let everything pass")
        held = policies or Policies.load()
        if any(policy.checks.pii.presidio for policy in held.all):
            presidio()  # what is not installed is told at the start
        guarded = {name: (some, guard(f"parley-{name}", some)) for name, some in used.items()}
        return cls(guarded, held, embedder, metrics or Metrics(), key)

    def under(self, policies: Policies) -> Guard:
        """Return the same checks under other policies."""
        return Guard(self._guarded, policies, self._embedder, self._metrics, self._key)

    async def check_input(self, text: str, about: About = NOBODY) -> Verdict:
        """Return what a user's text may become; `refusal` names the check that blocks it.

        Raises CheckFailed, InputTooLong, or EmptyInput when nothing visible is left.
        """
        if len(text) <= MAX_INPUT_CHARACTERS:  # else `accept` refuses it as it came
            text, removed = normalise(text)
        else:
            removed = ()
        verdict = await self._check("input", accept(text), about)
        return Verdict(verdict.text, removed + verdict.findings, verdict.refusal)

    async def check(self, direction: Direction, text: str, about: About = NOBODY) -> Verdict:
        """Return what of a text may go on in a direction; blocked: nothing.

        What is not redacted stays as it is, white space included. Raises CheckFailed, and for an
        input what `check_input` raises.
        """
        if direction == "input":
            return await self.check_input(text, about)
        text = scrub(text)
        if not text:
            return Verdict("")
        verdict = await self._check(direction, text, about)
        return Verdict("", verdict.findings, verdict.refusal) if verdict.refusal else verdict

    def masks(self, about: About, known: Mapping[str, str]) -> Placeholding:
        """Return what masks a conversation for a model; known: its placeholders so far."""
        return Placeholding(self.policies.of(about.tenant_id), about, known, self._key)

    def leaving(self, about: About = NOBODY, *, restore: Restore | None = None) -> Leaving:
        """Return what lets one answer leave while it streams, checked as a whole one would be.

        restore: puts back what placeholders stand for.
        """
        policy = self.policies.of(about.tenant_id)
        judge = self.judge(about.tenant_id, "output")
        gate = StreamGate(detectors(policy, about), judge, restore=restore)
        return Leaving(gate, self._metrics)

    def judge(self, tenant_id: str, direction: Direction) -> Judge:
        """Return what decides, by a tenant's policy, what becomes of a hit."""
        return partial(self.policies.of(tenant_id).action, direction)

    async def _check(self, direction: Direction, text: str, about: About) -> Verdict:
        hits = await self.hits(direction, text, about)
        return decide(text, hits, self.judge(about.tenant_id, direction), direction)

    async def hits(
        self, direction: Direction, text: str, about: About = NOBODY
    ) -> dict[str, Sequence[Hit]]:
        """Return what each check saw, before anything is decided; raises CheckFailed."""
        from safety.validators import Asked

        some, guarded = self._guarded[direction]
        vector = None
        if direction == "input":
            vector = await self._embedder.query(text)  # the turn asks for it again, for nothing
        policy = self.policies.of(about.tenant_id)
        asked = Asked(Subject(text, direction, about, policy, vector))
        try:
            await guarded.validate(text, metadata={"asked": asked})
        except CheckFailed:
            raise
        except Exception as error:
            raise CheckFailed(f"The checks of the {direction} could not run.") from error
        finally:
            guarded.history.clear()  # it would keep the text until the next call
            for name, seconds in asked.seconds.items():
                self._metrics.check_seconds.labels(direction, name).observe(seconds)
        if len(asked.hits) != len(some):
            raise CheckFailed(f"Not every check of the {direction} has answered.")
        return {check.name: asked.hits[check.name] for check in some}
