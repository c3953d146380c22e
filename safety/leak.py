"""Our own instructions in an answer, found by long stretches of the same words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from safety.verdict import PASS, Edit, Finding, Outcome

# Twelve equal words in a row do not happen by chance; shorter ones are common phrases.
WORDS = 12
REPLACEMENT = "[withheld]"
_WORD = re.compile(r"\w+")


class Leak:
    """The check for output: withholds stretches of the protected text."""

    name = "prompt_leak"
    deadline_seconds = 5.0

    async def __call__(self, text: str, *, protected: str = "") -> Outcome:
        """Return one edit per stretch of at least twelve words that stands in `protected` too."""
        edits = tuple(Edit(start, end, REPLACEMENT) for start, end in shared(text, protected))
        if not edits:
            return PASS
        return Outcome((Finding(self.name, "high", "redact", f"{len(edits)} stretches"),), edits)


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
