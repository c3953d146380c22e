"""The gate that text passes on its way in and on its way out.

A check that cannot run refuses: every error and every missed deadline is a CheckFailed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from core.errors import CheckFailed
from core.text import MAX_INPUT_CHARACTERS, accept, scrub
from safety.credentials import Credentials
from safety.injection import Injection
from safety.leak import Leak
from safety.normalise import normalise
from safety.verdict import Check, Finding, Outcome, Verdict, combine

__all__ = ["Finding", "Guard", "Verdict"]

Run = Callable[[str, str], Awaitable[list[Outcome]]]


class Guard:
    """Checks in both directions; lives as long as the process and keeps no text."""

    def __init__(self, run_input: Run, run_output: Run) -> None:
        self._run_input = run_input
        self._run_output = run_output

    @classmethod
    def build(
        cls, *, inputs: Sequence[Check] | None = None, outputs: Sequence[Check] | None = None
    ) -> Guard:
        """Return a guard with these checks (default: ours). Takes seconds: run it in a thread.

        Imports guardrails-ai, with its telemetry off, and opens no connection.
        """
        from safety.quiet import silence

        silence()
        return cls(
            _runner("input", (Injection(),) if inputs is None else tuple(inputs)),
            _runner("output", (Credentials(), Leak()) if outputs is None else tuple(outputs)),
        )

    async def check_input(self, text: str) -> Verdict:
        """Return what a user's text may become; `refusal` names the answer when it is blocked.

        Raises CheckFailed, InputTooLong, or EmptyInput when nothing visible is left.
        """
        if len(text) <= MAX_INPUT_CHARACTERS:  # else `accept` refuses it as it came
            text, removed = normalise(text)
        else:
            removed = ()
        verdict = combine(accept(text), await self._run_input(text, ""))
        return Verdict(verdict.text, removed + verdict.findings, verdict.refusal)

    async def check_output(self, text: str, *, protected: str = "") -> Verdict:
        """Return what of an answer, or of a stretch of it, may leave; blocked: nothing.

        protected: text that must not be repeated, as the rules in our own system prompt.
        What is not redacted stays as it is, white space included. Raises CheckFailed.
        """
        text = scrub(text)
        if not text:
            return Verdict("")
        verdict = combine(text, await self._run_output(text, protected))
        return Verdict("", verdict.findings, verdict.refusal) if verdict.refusal else verdict


def _runner(name: str, checks: tuple[Check, ...]) -> Run:
    from safety.validators import guard

    if not checks:
        raise ValueError(f"a guard for {name} without checks would let everything pass")
    guarded = guard(f"parley-{name}", checks)

    async def run(text: str, protected: str) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        metadata: dict[str, Any] = {"outcomes": outcomes, "protected": protected}
        try:
            await guarded.validate(text, metadata=metadata)
        except CheckFailed:
            raise
        except Exception as error:
            raise CheckFailed(f"The checks of the {name} could not run.") from error
        finally:
            guarded.history.clear()  # it would keep the text until the next call
        if len(outcomes) != len(checks):
            raise CheckFailed(f"Not every check of the {name} has answered.")
        return [outcomes[check.name] for check in checks]

    return run
