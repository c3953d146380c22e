"""Attempts to talk the assistant out of its rules: the check for input.

What it is good for is written down in docs/decisions/0010-guardrails.md: it blocks known
jailbreak texts and blunt attempts, and next to nothing that is phrased as a plain question.
"""

from __future__ import annotations

import asyncio

from safety.normalise import skeleton
from safety.signals import SIGNALS
from safety.verdict import PASS, Finding, Outcome

BLOCK_AT = 4  # sum of weights
WARN_AT = 2
REFUSAL = "injection"
LONG = 4000  # characters


class Injection:
    """The check for input: blocks what is surely an attempt, warns of what may be one."""

    name = "injection"
    deadline_seconds = 5.0

    async def __call__(self, text: str, *, protected: str = "") -> Outcome:
        """Return a block, a warning or nothing."""
        seen = skeleton(text)
        found = []
        for signal in SIGNALS:
            if signal.pattern.search(seen):
                found.append(signal)
            if len(seen) > LONG:
                await asyncio.sleep(0)  # 32 000 hostile characters cost 80 ms; not in one piece
        weight = sum(signal.weight for signal in found)
        detail = "+".join(signal.name for signal in found)
        if weight >= BLOCK_AT:
            return Outcome((Finding(self.name, "high", "block", detail),), refusal=REFUSAL)
        if weight >= WARN_AT:
            return Outcome((Finding(self.name, "medium", "warn", detail),))
        return PASS
