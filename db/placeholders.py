"""What stands behind the placeholders of a conversation; only the server knows."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from db.pool import Database
from db.sql import Statement, load

SQL = load(__file__)


async def known(database: Database, tenant_id: str, thread_id: UUID) -> dict[str, str]:
    """Return the placeholders of a conversation with their values, or digests of them.

    Raises DatabaseUnavailable.
    """
    (rows,) = await database.once(tenant_id, (SQL["known"], {"thread_id": thread_id}))
    return {str(placeholder): str(value) for placeholder, value in rows}


def saving(known: Mapping[str, str], *, run_id: UUID, lease_token: int) -> Statement:
    """Return what keeps the placeholders of a turn, if this lease has ended or paused it."""
    return SQL["save"], {
        "placeholders": list(known),
        "values": list(known.values()),
        "run_id": run_id,
        "lease_token": lease_token,
    }
