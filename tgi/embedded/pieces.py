"""An answer cut into token pieces, as a model would have generated it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from tgi.embedded.model import TokenSpan

Finish: TypeAlias = Literal["eos_token", "length", "stop_sequence"]


class Piece(NamedTuple):
    """One generated token: joined, the pieces that are not special are the text."""

    id: int
    text: str
    special: bool = False


END = Piece(102, "[SEP]", special=True)  # MiniLM's end token; it says nothing and it counts


@dataclass(frozen=True, slots=True)
class Generated:
    """What was generated, and why it ended."""

    text: str
    pieces: list[Piece]
    finish: Finish


def cut(
    text: str,
    spans: Sequence[TokenSpan],
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    cut_short: bool = False,
) -> Generated:
    """Return `text` as pieces, ended by a stop sequence, the token limit, or its own end.

    max_tokens: at least 1.
    cut_short: the model itself stopped early, so the text has no end token.
    As in TGI the stop sequence stays in the text, and reaching the limit exactly is "length".
    """
    pieces = split(text, spans)
    end = _first_stop(text, stop)
    if end is not None:
        pieces = _head(pieces, end)
    if len(pieces) >= max_tokens or (cut_short and end is None):
        pieces = pieces[:max_tokens]
        finish: Finish = "length"
    elif end is not None:
        finish = "stop_sequence"
    else:
        return Generated(text, [*pieces, END], "eos_token")
    return Generated("".join(piece.text for piece in pieces), pieces, finish)


def split(text: str, spans: Sequence[TokenSpan]) -> list[Piece]:
    """Return the pieces of `text`: each token with the white space before it.

    The last piece takes what follows the last token; text without any token is one piece.
    """
    pieces = []
    done = 0
    for token, _, _, stop in spans:
        if stop > done:  # several tokens of one character (an emoji's bytes) are one piece
            pieces.append(Piece(token, text[done:stop]))
            done = stop
    rest = text[done:]
    if rest and pieces:
        pieces[-1] = Piece(pieces[-1].id, pieces[-1].text + rest)
    elif rest:
        pieces.append(Piece(0, rest))
    return pieces


def _first_stop(text: str, stop: Sequence[str]) -> int | None:
    """Return where the earliest stop sequence ends."""
    ends = [at + len(word) for word in stop if word and (at := text.find(word)) >= 0]
    return min(ends, default=None)


def _head(pieces: list[Piece], length: int) -> list[Piece]:
    """Return the pieces of the first `length` characters."""
    head = []
    for piece in pieces:
        if length <= 0:
            break
        head.append(Piece(piece.id, piece.text[:length]))
        length -= len(piece.text)
    return head
