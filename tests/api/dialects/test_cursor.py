"""Cursors come back as they were written."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from api.dialects.cursor import read_cursor, write_cursor
from core.errors import InvalidInput


def test_a_cursor_comes_back() -> None:
    """What was written is read; what was not is refused."""
    thread = uuid.uuid4()
    now = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    assert read_cursor(write_cursor(now, thread)) == (now, thread)
    with pytest.raises(InvalidInput):
        read_cursor("x")
