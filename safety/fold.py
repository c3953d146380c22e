"""A text as patterns see it, and where in the original each part of it stands.

Folded are: compatibility forms (NFKC), what nobody sees (removed), dashes, blanks and digits of
every script (made ASCII), and letters drawn like Latin ones where they stand among Latin ones:
the middle of "pаypal", but no letter of a Russian word. Case stays. The text itself is not
changed: whoever finds something in the folded text masks the span of the original.

Folding works from blank to blank: a text cut at a blank folds to the parts of its folded text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

# Default_Ignorable_Code_Point, the controls other than white space, surrogates, noncharacters.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_CONTROLS = "\x00-\x08\x0e-\x1b\x7f"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_HIDDEN = re.compile(f"[{_INVISIBLE}]")
_DASHES = (
    "\u058a\u05be\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u207b\u208b\u2212\u2e3a\u2e3b"
)
_SAME = str.maketrans(_DASHES + "\u1680\u0085\u2028\u2029", "-" * len(_DASHES) + " \n\n\n")
# Marks that make one character of a letter and themselves.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
)
_HAS_NO_DIGIT = re.compile(r"\D+")
_MARK = re.compile(f"[{_MARKS}]")
# All of Unicode that folding may change: the planes behind these are ideographs and private use.
_PLANES = (*range(0x80, 0x20000), *range(0x2F800, 0x2FA20), *range(0xE0000, 0xE1000))

# Letters of Greek and Cyrillic that are drawn like Latin ones; from Unicode's confusables, the
# common part.
_ALIKE = "АВЕЅІЈКМНОРСТУХԌԚԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧавсԁеһіјкӏмнорԛѕтуѵԝхαβεηικνορτυχγ"
_DRAWN = "ABESIJKMHOPCTYXGQWABEZHIKMNOPTYXabcdehijklmhopqstyvwxabenikvoptuxy"
_TO_LATIN = str.maketrans(_ALIKE, _DRAWN)
_LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
MIXED = f"(?:[{_ALIKE}](?:(?<=[{_LATIN}].)|(?=[{_LATIN}])))"
"""Pattern: a letter that is drawn like a Latin one and stands beside one."""
_MIXED = re.compile(MIXED)
_LETTERS = re.compile(f"[{_LATIN}{_ALIKE}]+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a folded text, and where it comes from."""

    here: int  # first character in the folded text
    there: int  # first character in the original
    end: int  # end in the original of what became these characters; 0: copied one by one


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text that knows where it comes from."""

    text: str
    _stretches: tuple[Stretch, ...] = ()  # none: as long as the original, place by place
    _begins: tuple[int, ...] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the (start, end) in the original of a span that holds at least one character.

        Whole characters of the original: a span that holds a part of what one character
        became holds all of it. What was removed between two characters is inside.
        """
        if not self._stretches:
            return start, end
        return self._origin(start)[0], self._origin(end - 1)[1]

    def _origin(self, index: int) -> tuple[int, int]:
        stretch = self._stretches[bisect_right(self._begins, index) - 1]
        if stretch.end:
            return stretch.there, stretch.end
        place = stretch.there + index - stretch.here
        return place, place + 1


def fold(text: str) -> Folded:
    """Return the text as patterns see it; of plain ASCII that is the text itself. Never raises."""
    if text.isascii():
        return _folded(text) if _CONTROL.search(text) else Folded(text)
    if _changing().search(text):
        return _folded(text)
    return Folded(_latin(text))


@lru_cache(maxsize=2)
def changed(*, to_digits: bool = False) -> str:
    """Return the inside of a character class: what folding changes wherever it stands.

    to_digits: only what becomes a digit, or nothing. Blanks, dashes and decimal digits are left
    out: patterns that care have classes for these.
    """
    return _ranges(
        code
        for code in _codes()
        if not (chr(code).isspace() or chr(code).isdecimal() or chr(code) in _DASHES)
        and not (to_digits and _HAS_NO_DIGIT.fullmatch(_one(chr(code))))
    )


def _folded(text: str) -> Folded:
    stretches: list[Stretch] = []
    parts: list[str] = []
    done = length = 0
    for match in _cluster().finditer(text):
        new = _one(match.group())
        if match.start() > done:
            stretches.append(Stretch(length, done, 0))
            parts.append(text[done : match.start()])
            length += match.start() - done
        if new:
            stretches.append(Stretch(length, match.start(), match.end()))
            parts.append(new)
            length += len(new)
        done = match.end()
    if done < len(text):
        stretches.append(Stretch(length, done, 0))
        parts.append(text[done:])
    begins = tuple(stretch.here for stretch in stretches)
    return Folded(_latin("".join(parts)), tuple(stretches), begins)


def _one(cluster: str) -> str:
    """Return what one character with its marks becomes."""
    plain = unicodedata.normalize("NFKC", _HIDDEN.sub("", cluster)).translate(_SAME)
    return "".join(
        str(unicodedata.decimal(one)) if one.isdecimal() and not one.isascii() else one
        for one in _HIDDEN.sub("", plain)
    )


def _latin(text: str) -> str:
    """Return `text`, as long, with look-alikes made Latin in words that hold a Latin letter."""
    if not _MIXED.search(text):
        return text
    return _LETTERS.sub(
        lambda word: word[0].translate(_TO_LATIN) if _MIXED.search(word[0]) else word[0], text
    )


@lru_cache(maxsize=1)
def _codes() -> tuple[int, ...]:
    """Return the code points that folding changes; looks at 140 000, 0.1 s, once."""
    return tuple(code for code in _PLANES if _MARK.match(chr(code)) or _one(chr(code)) != chr(code))


@lru_cache(maxsize=1)
def _changing() -> re.Pattern[str]:
    return re.compile(f"[{_CONTROLS}{_ranges(_codes())}]")


@lru_cache(maxsize=1)
def _cluster() -> re.Pattern[str]:
    # A character with its marks, and what changes by itself.
    return re.compile(f"[^{_MARKS}][{_MARKS}]+|{_changing().pattern}")


def _ranges(codes: Iterable[int]) -> str:
    """Return code points, in order, as the inside of a character class."""
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)
