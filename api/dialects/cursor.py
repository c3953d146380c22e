"""Where a page of threads ended, as one opaque word."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from core.errors import InvalidInput


def write_cursor(updated_at: datetime, thread_id: UUID) -> str:
    """Return where a page ended, for `read_cursor`."""
    return base64.urlsafe_b64encode(f"{updated_at.isoformat()} {thread_id}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return where the page before ended; raises InvalidInput for anything we did not write."""
    try:
        time, _, thread_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        updated_at = datetime.fromisoformat(time)
        if updated_at.tzinfo is None:
            raise ValueError("a time without a zone")
        return updated_at, UUID(thread_id)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("The cursor is none of ours.", param="cursor") from error
