from __future__ import annotations

import pytest

from embeddings.minilm import MiniLM
from safety.checks import Check, checks
from safety.guard import Guard
from safety.verdict import Direction


@pytest.fixture(scope="session")
def guard(embedder: MiniLM) -> Guard:
    """The guard as it is built for production, once a session: guardrails takes seconds."""
    return Guard.build(embedder)


@pytest.fixture(scope="session")
def guard_checks(embedder: MiniLM) -> dict[Direction, tuple[Check, ...]]:
    """Every check by direction, as a guard runs them."""
    return checks(embedder)
