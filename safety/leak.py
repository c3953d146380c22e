"""Our own instructions in an answer, found by long stretches of the same words."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Twelve equal words in a row do not happen by chance; shorter ones are common phrases.
WORDS = 12
_WORD = re.compile(r"\w+")


def shared(text: str, protected: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each stretch of `text` whose words follow each other there too."""
    words = list(_WORD.finditer(text))
    if len(words) < WORDS or not protected:
        return
    theirs = [match.group().casefold() for match in _WORD.finditer(protected)]
    known = {tuple(theirs[i : i + WORDS]) for i in range(len(theirs) - WORDS + 1)}
    ours = [match.group().casefold() for match in words]
    begin = stop = -1  # the stretch being collected, as indexes of words
    for i in range(len(ours) - WORDS + 1):
        if tuple(ours[i : i + WORDS]) not in known:
            continue
        if i > stop and begin >= 0:
            yield words[begin].start(), words[stop - 1].end()
            begin = -1
        begin = i if begin < 0 else begin
        stop = i + WORDS
    if begin >= 0:
        yield words[begin].start(), words[stop - 1].end()
