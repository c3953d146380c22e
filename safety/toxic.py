"""Slurs, threats and insults in an answer, by a short list of whole words and phrases.

The list is data (toxic.yaml) and small: only what has hardly a harmless reading. It sees through
other letters ("1d10t"), stretched ones and separators, and finds no part of a word, so that
Scunthorpe passes. It does not see contempt in plain words, other languages, or who is quoted:
what an encyclopedia cites is found as well. A model of our own kind belongs where that matters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from safety.fold import fold
from safety.verdict import Hit, Severity, apart

FILE = Path(__file__).with_name("toxic.yaml")
_REMOVED = "[removed]"
_AROUND = ".,;:?()\"'"
_LEET = str.maketrans("013457@$!|€", "oieastasile")
# A word, and what may be put between its letters.
_LETTER = "[A-Za-z0-9\u00c0-\u024f\u0370-\u052f]"
_WORD = re.compile(rf"[@$]?{_LETTER}(?:[.*_·@$!|-]{{0,2}}{_LETTER})*")
_ALONE = re.compile(r"(?<![^\W_])[^\W_](?:[ .-][^\W_])+(?![^\W_])")  # "i d i o t"
_STRETCHED = re.compile(r"(.)\1\1+")


class Toxic:
    """Finds words and phrases of a list; see Detector and Holder."""

    name = "toxic"
    opens = None

    def __init__(self, lists: Mapping[str, Any]) -> None:
        """lists: as in toxic.yaml, by kind."""
        self._phrases: dict[tuple[str, ...], tuple[str, Severity]] = {
            tuple(phrase.split()): (kind, listed["severity"])
            for kind, listed in lists.items()
            for phrase in (*listed["words"], *listed["phrases"])
        }
        self._heads = frozenset(
            words[:n] for words in self._phrases for n in range(1, len(words) + 1)
        )
        self._known = frozenset(word for words in self._phrases for word in words)
        self._first = frozenset(words[0] for words in self._phrases)
        self._longest = max(map(len, self._phrases), default=1)
        # Characters in which the longest fits, with something between all its letters.
        self._reach = 4 * max((len(" ".join(words)) for words in self._phrases), default=1)

    @classmethod
    def load(cls) -> Toxic:
        """Return the detector with our list; read once."""
        return _load()

    def find(self, text: str) -> Sequence[Hit]:
        """Return each word or phrase of the list; see Detector.find."""
        if self._is_plain(text):
            return ()
        words = self._words(text)
        found = []
        for first, (word, start, _) in enumerate(words):
            if (word,) not in self._heads:
                continue
            for stop in range(first + 1, min(len(words), first + self._longest) + 1):
                said = tuple(one for one, _, _ in words[first:stop])
                if said not in self._heads:
                    break
                if said in self._phrases:
                    kind, severity = self._phrases[said]
                    found.append(Hit(kind, severity, start, words[stop - 1][2], _REMOVED))
        return apart(found) if found else ()

    def holds(self, text: str) -> int:
        """See Holder.holds."""
        if self._is_plain(text):
            return len(text)
        begin = max(0, len(text) - self._reach)
        while begin > 0 and not text[begin - 1].isspace():
            begin -= 1
        words = self._words(text, begin)
        if not words:
            return len(text)
        _, start, end = words[-1]
        alone = end - start == 1 or _ALONE.fullmatch(text, start, end) is not None
        open_ = start if alone else len(text)  # more letters of it may follow
        for first in range(max(0, len(words) - self._longest), len(words)):
            if tuple(word for word, _, _ in words[first:]) in self._heads:
                return min(open_, words[first][1])
        return open_

    def _is_plain(self, text: str) -> bool:
        """Return whether it is words as they are spelled, and none of them on the list."""
        words = text.split()
        known = self._known if len(words) > 1 else self._first
        for word in words:
            core = word.strip(_AROUND)
            if len(core) < 2 or not (core.isascii() and core.isalpha()):
                return False
            core = core.lower()
            if core in known or _STRETCHED.search(core):
                return False
        return True

    def _words(self, text: str, begin: int = 0) -> list[tuple[str, int, int]]:
        """Return the words of text[begin:] as the list has them, with their places."""
        places: list[tuple[int, int]] = []
        alone = [match.span() for match in _ALONE.finditer(text, begin)]
        spelled = iter([*alone, (len(text) + 1, len(text) + 1)])
        start, end = next(spelled)
        for match in _WORD.finditer(text, begin):
            while end <= match.start():
                start, end = next(spelled)
            if match.end() <= start:
                places.append(match.span())
        folded: dict[str, str] = {}  # a text says most words more than once
        words = []
        for start, end in sorted(places + alone):
            word = text[start:end]
            if word not in folded:
                folded[word] = self._folded(word)
            words.append((folded[word], start, end))
        return words

    def _folded(self, word: str) -> str:
        word = word.casefold()
        if not (word.isascii() and word.isalpha()):
            parts = unicodedata.normalize("NFKD", fold(word).text).translate(_LEET)
            word = "".join(letter for letter in parts if letter.isalpha())
        if word in self._known or not _STRETCHED.search(word):
            return word
        twice = _STRETCHED.sub(r"\1\1", word)
        return twice if twice in self._known else _STRETCHED.sub(r"\1", word)


@lru_cache(maxsize=1)
def _load() -> Toxic:
    return Toxic(yaml.safe_load(FILE.read_text(encoding="utf-8")))
