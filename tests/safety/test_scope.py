"""What an assistant is there for."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings.minilm import MiniLM
from safety.scope import Scope

ABOUT = ("Questions about a bank account, cards and transfers.", "Why was my card declined?")


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("My card was refused in a shop, why?", True),
        ("How long does a transfer to another bank take?", True),
        ("Which mushrooms can I eat raw?", False),
        ("Write a poem about the sea.", False),
    ],
)
async def test_what_is_elsewhere_is_hit(embedder: MiniLM, text: str, within: bool) -> None:
    """A text is hit when it resembles nothing of what the assistant is for."""
    scope = await Scope.of(ABOUT, embedder)
    hits = scope.hits(await embedder.query(text), least=0.25)
    assert [hit.severity for hit in hits] == ([] if within else ["medium"])
    assert all(0 <= hit.score <= 1 for hit in hits)


def test_a_scope_says_something() -> None:
    """Without a sentence nothing could be within."""
    with pytest.raises(ValueError, match="at least one"):
        Scope(np.empty((0, 384), np.float32))
