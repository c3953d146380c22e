"""Instructions inside what strangers wrote: passages of documents, results of tools.

Each sentence is looked at alone. By its form most of them cannot be an instruction; of the others
the embedding is compared with what a linear model learned, and with the text around them: an
order in the middle of an invoice is out of place. See docs/decisions/0024 for what it reaches.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from embeddings.base import Embedder, Vector
from safety.classifiers import orders
from safety.classifiers.features import Seen, look
from safety.classifiers.model import Model
from safety.classifiers.pieces import Kind, Piece, pieces
from safety.injection import BLOCK_AT
from safety.verdict import Hit, Severity

MODEL = "untrusted"
SURE_RATE = 0.005  # of a strong signal, which decides by itself
MOST_PIECES = (
    24  # of a text that are embedded, those first that look most like orders by their words
)
REMEMBERED = 2048  # texts, by digest; a passage comes back with every question that finds it
CONTEXT = ("out_of_place", "alone", "first", "last", "tool_result")


class Candidate(NamedTuple):
    """A piece that could be an instruction."""

    piece: Piece
    seen: Seen  # its marks lack what the text around it says


class Untrusted:
    """Screens texts by strangers; lives as long as the process and keeps digests and hits only."""

    name = "untrusted"

    def __init__(self, embedder: Embedder, model: Model) -> None:
        self._embedder = embedder
        self.model = model
        self._known: OrderedDict[bytes, tuple[tuple[Piece, float, str], ...]] = OrderedDict()

    @classmethod
    def load(cls, embedder: Embedder) -> Self:
        """Return it with the model of the repository; raises OSError and ValueError."""
        return cls(embedder, Model.load(MODEL))

    async def screen(
        self, text: str, *, kind: Kind, block_rate: float = 0.005, warn_rate: float = 0.02
    ) -> list[Hit]:
        """Return a hit for each sentence that reads like an instruction, in order.

        block_rate, warn_rate: the share of ordinary passages in which a sentence may be hit by
        mistake with severity high, and medium. Raises ValueError for a rate without a threshold,
        EmbeddingUnavailable.
        """
        block, warn = self.model.threshold(block_rate), self.model.threshold(warn_rate)
        hits = []
        for piece, score, label in await self.scores(text, kind):
            if score >= warn:
                severity: Severity = "high" if score >= block else "medium"
                hits.append(Hit(label, severity, piece.start, piece.stop, score=score))
        return hits

    async def scores(self, text: str, kind: Kind) -> tuple[tuple[Piece, float, str], ...]:
        """Return each piece that could be an instruction with its score and kind, in order."""
        key = hashlib.blake2b(f"{kind} {text}".encode("utf-8", "replace"), digest_size=16).digest()
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = await self._judge(text, kind)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return known

    async def _judge(self, text: str, kind: Kind) -> tuple[tuple[Piece, float, str], ...]:
        found = self._likeliest(candidates(text, kind))
        if not found:
            return ()
        read = [text, *(text[one.piece.start : one.piece.stop] for one in found)]
        whole, *vectors = await self._embedder.passages(read)
        judged = []
        for one, vector in zip(found, vectors, strict=True):
            seen = placed(one, vector, whole, text, kind)
            scored = self.model.judge(seen, vector)
            score, kind_of = scored.score, scored.kind
            if seen.weight >= BLOCK_AT:
                score = max(score, self.model.threshold(SURE_RATE))  # as in a user's own text
            judged.append((one.piece, score, kind_of))
        return tuple(judged)

    def _likeliest(self, found: Sequence[Candidate]) -> list[Candidate]:
        """Return at most `MOST_PIECES`, in order: those that the model doubts by words alone."""
        if len(found) <= MOST_PIECES:
            return list(found)
        blank = np.zeros(self._embedder.dimensions, np.float32)
        worth = [
            self.model.judge(with_context(one.seen, [0.0] * len(CONTEXT)), blank).score
            for one in found
        ]
        kept = sorted(np.argsort(-np.array(worth), kind="stable")[:MOST_PIECES])
        return [found[place] for place in kept]


def candidates(text: str, kind: Kind) -> list[Candidate]:
    """Return the pieces that by their form could be an instruction."""
    found = []
    foreign = orders.is_foreign(text)
    for piece in pieces(text, kind):
        own = text[piece.start : piece.stop]
        marks = orders.marks(own, foreign=foreign)
        if orders.is_candidate(marks):
            seen = look(own)
            formal = np.array([marks[name] for name in orders.NAMES], np.float32)
            found.append(
                Candidate(piece, seen._replace(marks=np.concatenate([seen.marks, formal])))
            )
    return found


def placed(one: Candidate, vector: Vector, whole: Vector, text: str, kind: Kind) -> Seen:
    """Return what is seen of a piece together with how it stands in its text."""
    piece = one.piece
    before, after = text[: piece.start].strip(), text[piece.stop :].strip()
    alone = not before and not after
    strange = 0.0 if alone else 2 * (1 - float(vector @ whole))
    return with_context(one.seen, [strange, alone, not before, not after, kind == "tool_result"])


def with_context(seen: Seen, context: Sequence[float]) -> Seen:
    """Return it with CONTEXT behind its marks."""
    return seen._replace(marks=np.concatenate([seen.marks, np.array(context, np.float32)]))
