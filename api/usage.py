"""What was spent on models, for whoever pays for it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.bodies import JsonRoute
from api.caller import CallerDep
from api.dialects.resources import ErrorAnswer
from api.state import ServicesDep
from core.errors import InvalidInput
from db import spending

SEES_ALL = frozenset({"admin", "engineer"})
MOST_DAYS = 366
MOST_ROWS = 1000
_ROW: dict[str, Any] = {
    "key": "2026-11-20",
    "calls": 41,
    "prompt_tokens": 30120,
    "completion_tokens": 2210,
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": ErrorAnswer, "description": "The days are none, or too many."},
    503: {"model": ErrorAnswer, "description": "A service does not answer."},
}

router = APIRouter(prefix="/v1", tags=["usage"], route_class=JsonRoute, responses=_ERRORS)


class UsageRow(BaseModel):
    """What was spent on a day, by a user, or on a model."""

    model_config = ConfigDict(from_attributes=True)
    key: str = Field(description="The day, the user or the model; empty in `total`.")
    calls: int = Field(description="Questions to models; a turn may ask several.")
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float = Field(description="By the prices of the model file.")


class UsageReport(BaseModel):
    """What was spent within some days."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "from": "2026-11-01",
                    "to": "2026-11-20",
                    "by": "day",
                    "of": "own",
                    "rows": [_ROW | {"cost_usd": 0.0058}],
                    "total": _ROW | {"key": "", "cost_usd": 0.0058},
                }
            ]
        }
    )
    since: date = Field(serialization_alias="from")
    until: date = Field(serialization_alias="to")
    by: Literal["day", "user", "model"]
    of: Literal["own", "all"] = Field(description="all: of all users of the tenant.")
    rows: list[UsageRow] = Field(
        description=f"Days in order, else the most expensive first; at most {MOST_ROWS}."
    )
    total: UsageRow = Field(description="Of all rows, those left out among them.")


@router.get("/usage")
async def read_usage(
    services: ServicesDep,
    caller: CallerDep,
    since: Annotated[
        date | None,
        Query(alias="from", description="First day, UTC. Left out: that month's."),
    ] = None,
    until: Annotated[
        date | None, Query(alias="to", description="Last day, UTC. Left out: today.")
    ] = None,
    by: Annotated[
        Literal["day", "user", "model"], Query(description="What the rows stand for.")
    ] = "day",
) -> UsageReport:
    """Return what was spent on models: by you, or for an admin or engineer by your whole tenant.

    A turn counts on the day it ended, also when it failed or was cancelled; one that runs does
    not count yet. Deleting a conversation does not change what it has cost. At most 366 days.
    """
    last = until or datetime.now(UTC).date()
    first = since or last.replace(day=1)
    if first > last:
        raise InvalidInput("The first day comes after the last.", param="from")
    if (last - first).days >= MOST_DAYS:
        raise InvalidInput(f"At most {MOST_DAYS} days at a time.", param="from")
    all_users = bool(caller.roles & SEES_ALL)
    user_id = None if all_users else caller.user_id
    async with services.database.transaction(caller.tenant_id) as conn:
        rows = await spending.usage(
            conn, since=first, until=last, by=by, user_id=user_id, limit=MOST_ROWS
        )
        total = await spending.usage(
            conn, since=first, until=last, by="total", user_id=user_id, limit=1
        )
    nothing = spending.UsageRow("", 0, 0, 0, 0.0)
    return UsageReport(
        since=first,
        until=last,
        by=by,
        of="all" if all_users else "own",
        rows=[UsageRow.model_validate(row) for row in rows],
        total=UsageRow.model_validate(total[0] if total else nothing),
    )
