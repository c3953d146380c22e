"""What can be compared exactly: the numbers, dates, names and quotations of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tgi.embedded.quantities import Date, Number, dates, is_measure, is_month, numbers
from tgi.embedded.words import STOP, Word, fold, listed, stem, words
from tgi.embedded.words import stems as stems_of

_IDENTIFIER = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])\w+(?:[-.]\w+)*\b|\b\d+(?:\.\d+){2,}\b")
_ORDINAL = re.compile(r"\d+(?:s|st|nd|rd|th)", re.IGNORECASE)
_QUOTED = re.compile(
    r"“([^”\n]{2,300})”|\"([^\"\n]{2,300})\"|«([^»\n]{2,300})»|„([^“”\n]{2,300})[“”]"
)
_DOTTED = re.compile(r"\b(?:[A-Z]\.){2,}")  # U.S. is US
_JOINED = frozenset({" ", "-", "'s ", "’s ", ". "})  # what may stand inside a name
_GERMAN = listed("der die das und ist ein eine nicht mit von fur auf im den dem des wurde sich")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a text states that can be looked up in another."""

    numbers: tuple[Number, ...]
    dates: tuple[Date, ...]
    names: tuple[tuple[str, ...], ...]  # runs of words: ("Marie", "Curie")
    codes: tuple[str, ...]  # identifiers with digits in them: F16, 3.11.2
    quotes: tuple[str, ...]


def facts(text: str, *, known: frozenset[str] = frozenset()) -> Facts:
    """Return the facts of `text`.

    known: names in the stems of their words. A lone capitalised word that opens a sentence
    counts as a name only when it is among them; "Water" may be capitalised for its place.
    """
    text = _DOTTED.sub(_undotted, text)
    found = tuple(dates(text))
    rest = text
    for date in found:
        rest = rest.replace(date.text, " " * len(date.text), 1)
    codes = tuple(code for code in _IDENTIFIER.findall(rest) if not _ORDINAL.fullmatch(code))
    counted = rest
    for code in codes:
        if not is_measure(code):
            counted = counted.replace(code, " " * len(code), 1)
    return Facts(
        numbers=tuple(numbers(counted)),
        dates=found,
        names=tuple(_names(rest, known)),
        codes=tuple(code for code in codes if not is_measure(code)),
        quotes=tuple("".join(groups) for groups in _QUOTED.findall(text)),
    )


def plain(text: str) -> str:
    """Return `text` as quotations are compared: folded, words alone, one blank between."""
    text = _DOTTED.sub(_undotted, text)
    return " ".join(re.findall(r"\w+", fold(text)))


def _names(text: str, known: frozenset[str]) -> Iterator[tuple[str, ...]]:
    said = words(text)
    german = sum(fold(word.text) in _GERMAN for word in said) >= 2  # writes all nouns large
    run: list[Word] = []
    for word in [*said, None]:
        between = text[run[-1].start + len(run[-1].text) : word.start] if run and word else ""
        named = word is not None and _is_name(word, german=german)
        if run and not (named and between in _JOINED):
            if len(run) > 1 or not _opens(text, run[0]) or run[0].stem in known:
                yield tuple(one.text for one in run)
            run = []
        if named and word is not None:
            run.append(word)


def _is_name(word: Word, *, german: bool) -> bool:
    written = word.text
    if any(letter.isupper() for letter in written[1:]):
        return True
    plain_word = len(written) < 2 or german or fold(written) in STOP or is_month(written)
    return written[:1].isupper() and not plain_word


def _opens(text: str, word: Word) -> bool:
    """Return whether a word may have its capital from its place."""
    if any(letter.isupper() for letter in word.text[1:]):
        return False
    before = text[: word.start].rstrip(" \"'“‘«(-*•#>\n")
    return not before or before[-1] in ".!?:;…"


def stems(text: str) -> frozenset[str]:
    """Return the words of `text` as they are compared."""
    return frozenset(stems_of(_DOTTED.sub(_undotted, text)))


def _undotted(match: re.Match[str]) -> str:
    return match.group().replace(".", "")


def initials(text: str) -> frozenset[str]:
    """Return the abbreviations that runs of capitalised words in `text` could have."""
    found = set()
    for run in re.findall(r"(?:\b[^\W\d_a-z]\w+(?:[ -](?:of|the|and|for|de)\b)*[ -]?){2,8}", text):
        found.add("".join(part[0] for part in re.findall(r"\w+", run) if part[0].isupper()))
    return frozenset(found)


def is_part(name: str, known: frozenset[str]) -> bool:
    """Return whether a word of a name is among stems, or nearly: Roman, Romans; Kenya, Kenyan."""
    own = stem(name)
    if own in known:
        return True
    return len(own) >= 5 and any(
        other.startswith(own) or own.startswith(other) for other in known if len(other) >= 5
    )
