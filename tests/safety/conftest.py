from __future__ import annotations

import pytest

from embeddings.minilm import MiniLM
from safety.guard import Guard


@pytest.fixture(scope="session")
def guard(embedder: MiniLM) -> Guard:
    """The guard as it is built for production, once a session: guardrails takes seconds."""
    return Guard.build(embedder)
