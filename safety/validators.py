"""Our checks as validators of guardrails-ai. Importing this imports guardrails (seconds)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from guardrails import (  # type: ignore[import-untyped]
    AsyncGuard,
    OnFailAction,
    Validator,
    register_validator,
)
from guardrails_ai.types import (  # type: ignore[import-untyped]
    FailResult,
    PassResult,
    ValidationResult,
)

from core.errors import CheckFailed
from safety.checks import Check, Subject
from safety.verdict import Hit


@dataclass(slots=True)
class Asked:
    """One text on its way through the checks, and what they say; travels in the metadata."""

    subject: Subject
    hits: dict[str, Sequence[Hit]] = field(default_factory=dict)  # by check
    seconds: dict[str, float] = field(default_factory=dict)  # by check


@register_validator(name="parley/check", data_type="string")
class CheckValidator(Validator):  # type: ignore[misc]  # guardrails is untyped
    """Runs one check and hands its hits back through the metadata of the call.

    A validator can only pass or fail, and of several that fail at once guardrails merges
    the corrected texts line by line. Hits say more, and their edits merge exactly.
    """

    def __init__(self, check: Check) -> None:
        super().__init__(on_fail=OnFailAction.NOOP, use_local=True)
        self.check = check

    def _validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        """Refuse: guardrails' synchronous guards cannot keep a deadline."""
        raise CheckFailed(f"The check {self.check.name} needs an AsyncGuard.")

    async def async_validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:
        """Run the check within its deadline; raises CheckFailed."""
        name, asked = self.check.name, metadata["asked"]
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.check.deadline_seconds):
                found = tuple(await self.check(asked.subject))
        except TimeoutError as error:
            raise CheckFailed(f"The check {name} was not done in time.") from error
        except Exception as error:
            raise CheckFailed(f"The check {name} failed.") from error
        finally:
            asked.seconds[name] = time.perf_counter() - began
        if asked.seconds[name] > self.check.deadline_seconds:  # it never let the clock look
            raise CheckFailed(f"The check {name} was not done in time.")
        asked.hits[name] = found
        return FailResult(error_message=name) if found else PassResult()


def guard(name: str, checks: tuple[Check, ...]) -> AsyncGuard[str]:
    """Return an AsyncGuard that runs `checks`."""
    built: AsyncGuard[str] = AsyncGuard(name=name, history_max_length=1)
    return built.use(*(CheckValidator(check) for check in checks))
