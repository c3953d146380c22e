"""What a policy would have decided about turns that are recorded.

Replayed are the texts that the turn log and the conversation keep: what users wrote, what models
answered, and the arguments and results of tools. Passages are not: the log refers to them only.
What the policy of the day has taken out of a text before it was stored cannot be seen again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from core.errors import InvalidInput
from db.pool import Database
from db.turns import Recorded, recorded
from safety.guard import Guard
from safety.verdict import About, Direction, Finding, Verdict


@dataclass(frozen=True, slots=True)
class Change:
    """A text about which two policies decide differently."""

    run_id: str
    direction: Direction
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]
    blocked_before: bool
    blocked_after: bool

    @property
    def kind(self) -> str:
        """Return what would change, in few words."""
        if self.blocked_before is not self.blocked_after:
            return "blocked" if self.blocked_after else "let through"
        return "decided differently"


@dataclass(slots=True)
class Rehearsed:
    """How far a rehearsal has come."""

    turns: int = 0
    texts: int = 0


async def rehearse(
    database: Database,
    present: Guard,
    proposed: Guard,
    *,
    tenant_id: str,
    days: int,
    limit: int,
    count: Rehearsed,
) -> AsyncIterator[Change]:
    """Yield each text of a tenant's recorded turns about which the two guards disagree.

    count: grows with what was replayed. Raises CheckFailed, DatabaseUnavailable.
    """
    async with database.transaction(tenant_id) as conn:
        found = await recorded(conn, days=days, limit=limit)
    for turn in found:
        count.turns += 1
        for direction, text in texts(turn):
            count.texts += 1
            before = await _verdict(present, direction, text, tenant_id)
            after = await _verdict(proposed, direction, text, tenant_id)
            blocked = before.refusal is not None, after.refusal is not None
            if set(before.findings) != set(after.findings) or before.text != after.text:
                yield Change(str(turn.run_id), direction, before.findings, after.findings, *blocked)


def texts(turn: Recorded) -> Iterator[tuple[Direction, str]]:
    """Yield the texts of a turn that checks have seen, with their direction."""
    yield "input", turn.asked
    for action in turn.actions:
        yield "tool_arguments", action["arguments"]
        if result := action["result"]:
            yield "tool_result", result["text"]
    if turn.answered:
        yield "output", turn.answered


async def _verdict(guard: Guard, direction: Direction, text: str, tenant_id: str) -> Verdict:
    about = About(tenant_id)
    try:
        return await guard.check(direction, text, about)
    except InvalidInput:
        return Verdict(text)  # it was refused as no text at all, whatever the policy


def told(findings: Sequence[Finding]) -> str:
    """Return findings on one line."""
    return ", ".join(f"{one.check} {one.detail} {one.action}" for one in findings) or "nothing"
