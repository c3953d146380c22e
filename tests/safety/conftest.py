from __future__ import annotations

import pytest

from safety.guard import Guard


@pytest.fixture(scope="session")
def guard() -> Guard:
    """The guard as it is built for production, once a session: guardrails takes seconds."""
    return Guard.build()
