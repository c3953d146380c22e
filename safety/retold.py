"""Instructions told in other words: sentences that share most of their content words with ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from safety.verdict import WITHHELD, Hit

# A sentence of ours is told when so much of its content words stands in one or two sentences.
_OF_SENTENCE = 0.5
LARGE_PART = 0.4  # of all content words, in at least `_SENTENCES` sentences
_SENTENCES = 3
_FEWEST = 3  # content words; a shorter sentence says nothing of its own
_NOW = 2  # of them in the later of two sentences
_SPLIT = re.compile(r"(?<=[.!?。！？])\s+|\n+|(?<=[。！？])")
_WORD = re.compile(r"[^\W\d_]{3,}")
_SUFFIX = re.compile(r"(?<=.{3})(?:ings?|edly|ed|ers?|ions?|ly|es|e|s)\Z")
_COMMON = """
about above after again all also and any are because been before being below between both but can
could did does doing down during each few for from further had has have having her here hers him
his how into its itself just may might more most must nor not now off once only other our out over
own same she should some such than that the their them then there these they this those through
too under until upon very was were what when where which while who whom why will with would you
your yours
"""
_STOP = frozenset(_COMMON.split())


class Retold:
    """The content words of a protected text, sentence by sentence."""

    def __init__(self, protected: str) -> None:
        """protected: the text that is not to be told."""
        sentences = [_stems(part) for part in _SPLIT.split(protected)]
        self._sentences = [stems for stems in sentences if len(stems) >= _FEWEST]
        self._all = sum(map(len, self._sentences))
        self._known = frozenset[str]().union(*self._sentences)
        self._begin = frozenset(stem[:3] for stem in self._known)

    def told(self, text: str) -> tuple[int, int] | None:
        """Return from where to where `text` tells a large part of it; None where it does not."""
        if len(text) < 60:  # too short for three sentences
            return None
        memory = _Memory(self._sentences, self._all)
        first, start = -1, 0
        for end in [*(match.end() for match in _SPLIT.finditer(text)), len(text)]:
            new, large = memory.hears(_stems(text[start:end]) & self._known)
            first = start if new and first < 0 else first
            if large:
                return first, end
            memory.ends()
            start = end
        return None

    def _may_know(self, text: str) -> bool:
        return any(word[:3] in self._begin for word in _WORD.findall(text.casefold()))

    def watch(self) -> Callable[[str], Sequence[Hit]]:
        """Return a memory of what one answer has told; see units.Watch."""
        memory = _Memory(self._sentences, self._all)

        def unit(text: str) -> Sequence[Hit]:
            large = False
            if not (ends := _SPLIT.search(text)) and not self._may_know(text):
                return ()
            for place, part in enumerate(_SPLIT.split(text) if ends else (text,)):
                if place:
                    memory.ends()
                if part and (stems := _stems(part) & self._known):
                    large |= memory.hears(stems)[1]
            return (Hit("retold", "critical", 0, len(text), WITHHELD),) if large else ()

        return unit


class _Memory:
    """Which sentences were told so far; keeps stems of ours alone."""

    def __init__(self, sentences: Sequence[frozenset[str]], total: int) -> None:
        self._sentences = sentences
        self._total = total
        self._told: set[int] = set()
        self._before: frozenset[str] = frozenset()
        self._now: frozenset[str] = frozenset()

    def hears(self, stems: frozenset[str]) -> tuple[bool, bool]:
        """Take more of the sentence; return whether it tells one more, and whether all together
        are too much now.
        """
        self._now |= stems
        both = self._now | self._before
        new = {
            place
            for place, ours in enumerate(self._sentences)
            if len(self._now & ours) >= _NOW
            and len(both & ours) >= max(_FEWEST, _OF_SENTENCE * len(ours))
        } - self._told
        self._told |= new
        told = sum(len(self._sentences[place]) for place in self._told)
        enough = len(self._told) >= min(_SENTENCES, len(self._sentences))
        return bool(new), bool(new) and enough and told >= LARGE_PART * self._total

    def ends(self) -> None:
        """Take the end of a sentence; one of ours may be told in two."""
        self._before, self._now = self._now, frozenset()


def _stems(text: str) -> frozenset[str]:
    return frozenset(
        _SUFFIX.sub("", word) for word in _WORD.findall(text.casefold()) if word not in _STOP
    )
