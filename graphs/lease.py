"""The right to work on a run."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a run, and whose run it is."""

    tenant_id: str
    user_id: str
    thread_id: UUID
    run_id: UUID
    token: int
    attempt: int
    failures: int = 0  # attempts before this one that ended in the middle
    groups: tuple[str, ...] = ()  # that the user belonged to when the run was asked for
    roles: frozenset[str] = frozenset()
