"""What was spent on models: counted once a call, reported, and held against budgets."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from core.price import PLACES, Budget, applying
from core.turn import ModelCall
from db.pool import Database
from db.sql import Statement, load

SQL = load(__file__)
By = Literal["day", "user", "model", "total"]
Conn = AsyncConnection[TupleRow]
FRESH_SECONDS = 3.0  # what is left is known so old at most
KNOWN = 4096  # conversations whose rest is kept


@dataclass(frozen=True, slots=True)
class Spent:
    """What `spending` has counted."""

    numbers: list[int]  # the calls that were new, from 1
    reached: list[dict[str, Any]]  # shares of budgets: what the notices say


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What was spent on one day, by one user or on one model."""

    key: str  # the day as YYYY-MM-DD, the user, the model; "" for the total
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


def spending(
    calls: Sequence[ModelCall],
    budgets: Sequence[Budget],
    *,
    tenant_id: str,
    run_id: UUID,
    lease_token: int,
) -> Statement:
    """Return what counts the calls of a turn once its attempt has ended; see `spent`.

    calls: all of the turn so far, those of earlier attempts among them, which are not counted
    again. budgets: of all tenants. Notices of budgets are stored with it.
    """
    usages = [call["usage"] for call in calls]
    return SQL["spend"], {
        "tenant_id": tenant_id,
        "run_id": run_id,
        "lease_token": lease_token,
        "models": [call["model"] for call in calls],
        "tasks": [call["task"] for call in calls],
        "prompt_tokens": [usage["prompt_tokens"] if usage else 0 for usage in usages],
        "completion_tokens": [usage["completion_tokens"] if usage else 0 for usage in usages],
        "usd": [round(Decimal(str(call["cost_usd"])), PLACES) for call in calls],
        **_columns(applying(budgets, tenant_id)),
    }


def spent(rows: Sequence[TupleRow]) -> Spent:
    """Return what the statement of `spending` has counted."""
    numbers, reached = rows[0]
    return Spent(numbers, reached)


async def left(
    conn: Conn, budgets: Sequence[Budget], *, tenant_id: str, user_id: str, thread_id: UUID
) -> Decimal | None:
    """Return what the tightest budget has left, in USD, below 0 once it is overdrawn.

    None when there is no budget. What turns that run at the moment will cost is not in it.
    """
    held = applying(budgets, tenant_id)
    if not held:
        return None
    asked = {"user_id": user_id, "thread_id": str(thread_id), **_columns(held)}
    row = await (await conn.execute(SQL["left"], asked)).fetchone()
    assert row is not None
    rest: Decimal = row[0]
    return rest


class Purse:
    """What budgets have left, asked at most every few seconds for the same conversation."""

    def __init__(
        self,
        database: Database,
        budgets: Sequence[Budget],
        *,
        seconds: float = FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """budgets: of all tenants. seconds: what is known so long is not asked again."""
        self._database = database
        self._budgets = budgets
        self._seconds = seconds
        self._clock = clock
        self._known: OrderedDict[tuple[str, str, UUID], tuple[float, Decimal | None]] = (
            OrderedDict()
        )

    async def left(self, *, tenant_id: str, user_id: str, thread_id: UUID) -> Decimal | None:
        """Return what `left` returns; raises DatabaseBusy or DatabaseUnavailable."""
        if not applying(self._budgets, tenant_id):
            return None
        whose = (tenant_id, user_id, thread_id)
        until, rest = self._known.get(whose, (0.0, None))
        if self._clock() < until:
            return rest
        async with self._database.transaction(tenant_id) as conn:
            rest = await left(
                conn, self._budgets, tenant_id=tenant_id, user_id=user_id, thread_id=thread_id
            )
        self._known[whose] = (self._clock() + self._seconds, rest)
        self._known.move_to_end(whose)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return rest


async def usage(
    conn: Conn, *, since: date, until: date, by: By, user_id: str | None, limit: int
) -> list[UsageRow]:
    """Return what was spent on the days from `since` to `until`, both of them among it, in UTC.

    user_id: of this user alone. At most `limit` rows: days in order, else the most expensive.
    """
    asked = {"since": since, "until": until, "by": by, "user_id": user_id, "limit": limit}
    async with conn.cursor(row_factory=class_row(UsageRow)) as cursor:
        await cursor.execute(SQL["usage"], asked)
        return await cursor.fetchall()


def _columns(budgets: Sequence[Budget]) -> dict[str, list[Any]]:
    return {
        "scopes": [budget.scope for budget in budgets],
        "pers": [budget.per for budget in budgets],
        "limits": [budget.usd for budget in budgets],
    }
