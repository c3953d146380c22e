"""What an embedding model gives: vectors, token counts and token positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""One text: (dimensions,), unit length, so that a dot product is a cosine."""

Vectors = NDArray[np.float32]
"""Several texts: (texts, dimensions), each row of unit length."""


QUERY_TOKENS = 64  # of a question, whose token vectors are remembered: 50 KB


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the model sees it: whole, and token by token. All arrays are read-only."""

    vector: Vector  # (dimensions,), unit length
    ids: NDArray[np.int32]  # (tokens,): places in the model's vocabulary, special tokens included
    tokens: NDArray[np.float16]  # (tokens, dimensions): last states, of no particular length


@runtime_checkable
class Embedder(Protocol):
    """An embedding model. Vectors of two different names must never be compared."""

    @property
    def name(self) -> str:
        """Which model this is; stored beside every vector it made."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    async def query(self, text: str) -> Vector:
        """Return the vector of a question; asking again for the same text costs nothing."""

    async def encoded_query(self, text: str) -> Encoded:
        """Return a question with its first `QUERY_TOKENS` tokens; the same computation."""

    async def passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of `texts`, in their order; a text's vector never depends on others.

        What a model cannot read at once is cut at its end, silently: `count_tokens` tells.
        """

    async def encoded(self, texts: Sequence[str]) -> list[Encoded]:
        """Return `texts` with the vectors of their tokens, as far as the model reads."""

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of the whole text, without special tokens."""

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return where each token of the whole text lies: [start, stop) in characters."""
