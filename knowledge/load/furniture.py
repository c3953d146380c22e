"""What a PDF repeats on its pages, and sentences that go on over the page: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from knowledge.load.pieces import Piece

Key = tuple[str, int | None]
"""What a piece says, and how far its number is from the page's, where that is what counts."""

MIN_PAGES = 3
MIN_SHARE = 0.4  # of the pages between: left and right ones often differ, and chapters
LEVELS = 3  # lines of a running head
SAME_HEIGHT = 4.0  # points
NUMBER = re.compile(r"\d{1,5}")
GOES_ON = re.compile(r"[a-zà-öø-ÿа-я]")
ENDED = re.compile(r"[.!?:;…][\"'”’»)\]]*$")
FIRST_SENTENCE = re.compile(r".{1,400}?[.!?…][\"'”’»)\]]*(?=\s|$)", re.DOTALL)
HYPHEN = re.compile(r"(?<=\w)-$")


def without_furniture(pages: Sequence[Sequence[Piece]]) -> list[list[Piece]]:
    """Return the pages without page numbers, and with running heads only where they first stand.

    What stands on the highest or lowest line of at least three pages, and of two fifths of those
    between the first and the last of them, is repeated: the same on each, or counting with the
    pages. So no word is lost.
    """
    kept = [list(page) for page in pages]
    if len(kept) < MIN_PAGES:
        return kept
    for _ in range(LEVELS):
        changed = [_drop(kept, top=True), _drop(kept, top=False)]
        if not any(changed):
            break
    return kept


def _drop(pages: list[list[Piece]], *, top: bool) -> bool:
    """Remove what is repeated from one edge of the pages; return whether there was anything."""
    keys = [
        {piece: set(_keys(piece.text, number)) for piece in _edge(page, top=top)}
        for number, page in enumerate(pages)
    ]
    places: dict[Key, list[int]] = {}
    for number, edge in enumerate(keys):
        for key in set[Key]().union(*edge.values()):
            places.setdefault(key, []).append(number)
    repeated = {
        key
        for key, on in places.items()
        if len(on) >= max(MIN_PAGES, MIN_SHARE * (on[-1] - on[0] + 1))
    }
    seen: set[Key] = set()
    changed = False
    for page, edge in zip(pages, keys, strict=True):
        for piece, found in edge.items():
            counting = any(key[1] is not None for key in found & repeated)
            if counting or (found & repeated & seen and len(page) > len(edge)):
                page.remove(piece)
                changed = True
        seen.update(*edge.values())
    return changed


def _edge(page: list[Piece], *, top: bool) -> list[Piece]:
    """Return the pieces of the highest or lowest line."""
    texts = [piece for piece in page if not piece.rows]
    if not texts:
        return []
    height = max(p.middle for p in texts) if top else min(p.middle for p in texts)
    return [piece for piece in texts if abs(piece.middle - height) < SAME_HEIGHT]


def _keys(text: str, page: int) -> Iterator[Key]:
    """Yield a text as it is, and with each of its numbers as its distance from the page's."""
    yield text.strip(), None
    for found in NUMBER.finditer(text):
        yield f"{text[: found.start()]}#{text[found.end() :]}".strip(), int(found[0]) - page


def continued(before: str, after: str) -> tuple[str, str]:
    """Return the texts of two pages, a sentence that goes on over the page whole on the first."""
    if not before or not GOES_ON.match(after) or ENDED.search(before):
        return before, after
    found = FIRST_SENTENCE.match(after)
    if found is None:
        return before, after
    joined = HYPHEN.sub("", before) if HYPHEN.search(before) else f"{before}\n"
    return joined + found[0], after[found.end() :].lstrip()
