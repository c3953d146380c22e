"""Our own instructions in an answer: word for word, in another writing, or retold in large part.

- verbatim: twelve words in a row of the protected text; six when it is turned by rot13 or written
  backwards, 24 letters when it is spelled out.
- encoded: five words in a row inside base64, hex, percent signs or the like.
- retold: sentences of the answer cover LARGE_PART of the content words (see retold).

Not found: a translation, and a retelling in words that share no stem with ours.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safety.encoded import OPENS, SHORTEST, readings
from safety.retold import Retold
from safety.units import SPACELESS, Ending, Watch, WordEnding
from safety.verdict import WITHHELD, Hit, apart

# Twelve equal words in a row do not happen by chance; shorter ones are common phrases.
WORDS = 12
_TURNED_WORDS = 6  # nobody writes six words backwards by chance
_ENCODED_WORDS = 5
_LETTERS = 24
_SHORTEST = 2 * _TURNED_WORDS - 1  # characters of the shortest stretch
_GAP = 64  # characters between two words of a stretch
# Each letter of a script without blanks counts as a word.
_WORD = re.compile(rf"[{SPACELESS}]|[^\W_{SPACELESS}]+")


@dataclass(frozen=True, slots=True)
class _View:
    """The words of the protected text in one writing."""

    words: str  # each between two NULs
    known: frozenset[str]
    least: int  # so many in a row are a stretch

    @classmethod
    def of(cls, words: Sequence[str], least: int) -> _View:
        """Return the view of these words."""
        return cls("\0" + "\0".join(words) + "\0", frozenset(words), least)

    def holds(self, words: Sequence[str]) -> bool:
        """Return whether they follow each other there."""
        return "\0" + "\0".join(words) + "\0" in self.words

    def tail(self, words: Sequence[str]) -> int:
        """Return how many of the last words follow each other there."""
        count = 0
        while count < len(words) and words[-count - 1] in self.known:
            if not self.holds(words[len(words) - count - 1 :]):
                break
            count += 1
        return count

    def stretches(self, words: Sequence[str], least: int = 0) -> Iterator[tuple[int, int]]:
        """Yield (first, end) of each stretch of `words` whose words follow each other there too."""
        least = least or self.least
        begin = stop = -1
        for i in range(len(words) - least + 1):
            if words[i] not in self.known or not self.holds(words[i : i + least]):
                continue
            if i > stop and begin >= 0:
                yield begin, stop
                begin = -1
            begin = i if begin < 0 else begin
            stop = i + least
        if begin >= 0:
            yield begin, stop


class Leak:
    """Finds stretches of a protected text; see Detector and Follower."""

    name = "prompt_leak"
    opens = OPENS

    def __init__(self, protected: str) -> None:
        """protected: what must not be given away. Takes about a millisecond: once per prompt."""
        plain = _words(protected)
        self._plain = _View.of(plain, WORDS)
        self._views = (
            self._plain,
            _View.of(_words(codecs.encode(protected, "rot13")), _TURNED_WORDS),
            _View.of(_words(protected[::-1]), _TURNED_WORDS),
            _View.of([letter for word in plain for letter in word], _LETTERS),
        )
        self._known = frozenset[str]().union(*(view.known for view in self._views))
        self._retold = Retold(protected)
        # Characters of the shortest stretch, blanks counted; most units of a stream are shorter.
        sizes = [
            sum(map(len, words[at : at + view.least])) + view.least - 1
            for view in self._views
            for words in [view.words.split("\0")[1:-1]]
            for at in range(len(words) - view.least + 1)
        ]
        is_simple = protected.isascii()  # else a letter may fold to several, or need no blank
        self._shortest = min([*sizes, SHORTEST]) if is_simple else _SHORTEST

    def find(self, text: str) -> Sequence[Hit]:
        """Return what `text` gives away; see Detector.find."""
        if len(text) < self._shortest:
            return ()
        hits = [_hit("verbatim", start, end) for start, end in self._verbatim(text)]
        for start, end, decoded in readings(text):
            if next(self._plain.stretches(_words(decoded), _ENCODED_WORDS), None):
                hits.append(_hit("encoded", start, end))
        # What is withheld anyway is not told in other words as well.
        if not hits and (told := self._retold.told(text)) is not None:
            hits.append(Hit("retold", "critical", *told, WITHHELD))
        return apart(hits) if hits else ()

    def holds(self, text: str) -> int:
        """See Follower.holds."""
        last = text.rsplit(None, 1)
        if last and last[-1].isascii() and last[-1].isalnum():
            if last[-1].lower() not in self._known:
                return len(text)  # as most words do
            if len(last) == 1:
                return text.index(last[0])
        places = [match.start() for match in _WORD.finditer(text)]
        words = _words(text)
        if not words or words[-1] not in self._known:
            return len(text)
        most = max(view.tail(words) for view in self._views)
        return places[-most] if most else len(text)

    def ending(self, text: str) -> Ending:
        """See Follower.ending."""
        words = _words(text)
        for view in self._views:
            if view.tail(words) >= view.least:
                return _RunEnding(view, words)
        return WordEnding()

    def watch(self) -> Watch:
        """See Follower.watch."""
        return self._retold.watch()

    def _verbatim(self, text: str) -> Iterator[tuple[int, int]]:
        words = _words(text)
        for view in self._views:
            if len(words) < view.least:
                continue
            places = [match.span() for match in _WORD.finditer(text)]
            for first, end in view.stretches(words):
                yield places[first][0], places[end - 1][1]


class _RunEnding:
    """To the last word that follows its neighbours in the protected text as well."""

    def __init__(self, view: _View, words: Sequence[str]) -> None:
        self._view = view
        self._words = deque(words[1 - view.least :], maxlen=view.least - 1)
        self._longest = max(map(len, view.known))

    def take(self, text: str, *, final: bool) -> tuple[int, bool]:
        """See Ending.take."""
        place = 0
        for match in _WORD.finditer(text):
            unfinished = match.end() == len(text) and not final
            if match.start() - place > _GAP:
                return place, True
            if unfinished and len(match.group()) <= self._longest:
                return place, False
            word = match.group().casefold()
            if not self._view.holds([*self._words, word]):
                return place, True
            self._words.append(word)
            place = match.end()
        return place, final or len(text) - place > _GAP


def _words(text: str) -> list[str]:
    return [match.group().casefold() for match in _WORD.finditer(text)]


def _hit(kind: str, start: int, end: int) -> Hit:
    return Hit(kind, "high", start, end, WITHHELD)
