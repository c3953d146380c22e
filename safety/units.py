"""Where a text may be cut, and where that which is too long to be held comes to its end.

A unit is what is judged at once. Where it ends follows from the text alone: at the first blank
or CJK letter behind which no detector sees the beginning of something to be found, or after
`max_hold` characters. So a text in pieces and the same text as a whole have the same units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, Protocol, TypeGuard
from weakref import WeakKeyDictionary

from safety.verdict import Detector, Hit, Severity

_COMMON = """
the of and in to that is as by for was on with are from which it an at or this be his its their were
have also not he other has they such new can into more but some been between many all most one than
these first would two when after through during there may only while who over used known about where
including since up both each because under years several world three out found part same then no
often any well being became private made them within will even around much those later until form
due before own could large like so number water against among now you your we our us if do does how
what she her my me should just very here see use using used example
"""
_FREQUENT = frozenset(f"{one} " for word in _COMMON.split() for one in (word, word.capitalize()))
_QUIET: WeakKeyDictionary[Detector, set[str]] = WeakKeyDictionary()
CONTEXT = 16  # characters before a cut inside a word, for patterns that look behind
# Thai to Myanmar, Khmer, Kana, Han.
SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
"""The inside of a character class: letters of scripts written without blanks."""
_BORDER = re.compile(f"[\\s{SPACELESS}]")
_KEY = r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
# The beginning of a key block, as long as its end has not come.
_KEY_OPENS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{0,10} ){0,4}\Z"
    rf"|{_KEY}(?:(?!-----END )[\s\S])*(?:-----END (?:[A-Z0-9]{{1,10}} ){{0,4}})?\Z"
)
_LINE = 40  # characters that look like a line of a key; prose has no such words
_MATERIAL = re.compile(rf"[A-Za-z0-9+/=]{{{_LINE},}}|-----END [A-Z0-9 ]{{1,40}}-----")
_LAST_LINE = re.compile(r"(?:\s|\\[nr]){0,4}[A-Za-z0-9+/=]{1,63}(?=\s|\\[nr]|\Z)")
_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{10,}(?:\.[\w-]*){0,2}\Z", re.ASCII)
_WORD_END = re.compile(f"[\\s{SPACELESS}" + r"\"'`<>()\[\]{},;|\\]")
_GAP = 200  # characters of something else that a key block may hold between its lines
# What stands for something personal, kind and number: not to be cut before it is put back.
PLACEHOLDER = re.compile(r"<([A-Z][A-Z_]{0,30})_([1-9]\d{0,5})>")


class Ending(Protocol):
    """Follows something too long to be held to its end."""

    def take(self, text: str, *, final: bool) -> tuple[int, bool]:
        """Return how many characters of `text` belong to it, and whether it ends there.

        Given again: what it did not take, with what came since. final: nothing comes any more.
        """


class Holder(Protocol):
    """A detector that needs more than a pattern to say what is still open."""

    def holds(self, text: str) -> int:
        """Return where that begins which stands at the end of `text` and may become something
        to be found; the length of `text` where nothing does.
        """


class Follower(Holder, Protocol):
    """A detector whose findings go on over many words, or come of a whole text."""

    @property
    def name(self) -> str:
        """See Detector.name."""

    def ending(self, text: str) -> Ending:
        """Return what follows a finding that reaches to the end of `text`, and may go on."""

    def watch(self) -> Watch:
        """Return a new memory for one stream."""


class Watch(Protocol):
    """Sees the units of one stream in order, and what only they together give away."""

    def __call__(self, unit: str, /) -> Sequence[Hit]:
        """Return what is to be said about this unit, after those before it."""


def is_holder(detector: object) -> TypeGuard[Holder]:
    """Return whether a detector is a Holder; isinstance takes a hundred times as long."""
    return hasattr(detector, "holds")


def is_follower(detector: object) -> TypeGuard[Follower]:
    """Return whether a detector is a Follower."""
    return hasattr(detector, "watch")


def next_border(text: str, start: int, stop: int) -> int:
    """Return the first place in (start, stop] behind a blank or a letter of a script without
    them; 0 when there is none.
    """
    match = _BORDER.search(text, start, stop)
    return match.end() if match else 0


def looked(place: int) -> int:
    """Return up to where no border is asked after the one at `place` has let go of nothing more.

    A quarter more than that: so the work grows with the length of a text, however much of it
    waits. Plain words wait too short for it to be seen.
    """
    return place + place // 4


def border_before(text: str, place: int) -> int:
    """Return the last border at or before `place`; 0 when there is none."""
    while place > 0 and not _BORDER.match(text[place - 1]):
        place -= 1
    return place


@lru_cache(maxsize=256)
def _joined(patterns: tuple[re.Pattern[str], ...]) -> tuple[re.Pattern[str], ...]:
    """Return the same patterns as one, but for those whose groups have numbers."""
    alone = [pattern for pattern in patterns if pattern.groups]
    joined = [_scoped(pattern) for pattern in patterns if not pattern.groups]
    return (*alone, re.compile("|".join(joined))) if joined else tuple(alone)


class Quiet:
    """Remembers which of the commonest words a detector has nothing to say about.

    Half of an English answer is made of these; each is asked about once, not once an answer.
    It holds words of its own list only, never one of somebody's text.
    """

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """Begin with what is known of these detectors."""
        self._known = [(one, _quiet_of(one)) for one in detectors]
        self._all = set.intersection(*(known for _, known in self._known)) if detectors else set()
        self._waits = set[str]()  # those that may be the beginning of something

    def asks(self, text: str) -> Literal["nothing", "waits", "unknown"]:
        """Return what all say of a text that is such a word with a blank; of others: unknown."""
        if text in self._all:
            return "nothing"
        if text in self._waits:
            return "waits"
        if text not in _FREQUENT:
            return "unknown"
        for detector, known in self._known:
            if text not in known:
                if Openings([detector]).begin(text) == 0:
                    self._waits.add(text)
                    return "waits"
                if detector.find(text):
                    return "unknown"
                known.add(text)
        self._all.add(text)
        return "nothing"


def _quiet_of(detector: Detector) -> set[str]:
    try:
        return _QUIET.setdefault(detector, set())
    except TypeError:  # it cannot be kept, so it is asked again in every stream
        return set()


class Openings:
    """What all detectors together may still be waiting for."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """Combine the patterns of `detectors` into one."""
        patterns = [one.opens for one in detectors if one.opens is not None]
        self._patterns = _joined(tuple(patterns))
        self._holders = tuple(one for one in detectors if is_holder(one))

    def begin(self, text: str) -> int:
        """Return where the first that is still open begins; the length of `text` for none."""
        first = len(text)
        for holder in self._holders:
            first = min(first, holder.holds(text))
            if first == 0:
                return 0  # the patterns take longer
        for pattern in self._patterns:
            match = pattern.search(text)
            if match is not None and match.start() < first:
                first = match.start()
        return first


def long_forms(text: str) -> list[tuple[str, Hit]]:
    """Return the credentials that have begun in `text`, and may be longer than can be held.

    They come with the name of their check; both reach to the end of `text`.
    """
    found: list[tuple[str, Hit]] = []
    key = _KEY_OPENS.search(text)
    if key is not None and material_end(text, key.start()):
        found.append(("credentials", _hit("private_key", key.start(), len(text))))
    token = _TOKEN.search(text)
    if token is not None:
        found.append(("credentials", _hit("json_web_token", token.start(), len(text))))
    return found


def material_end(text: str, start: int) -> int:
    """Return where the first line of a key in text[start:] ends; 0 when there is none."""
    match = _MATERIAL.search(text, start)
    return match.end() if match else 0


def _hit(kind: str, start: int, end: int) -> Hit:
    severity: Severity = "critical" if kind == "private_key" else "high"
    return Hit(kind, severity, start, end, f"[redacted {kind.replace('_', ' ')}]")


class WordEnding:
    """To the end of a word or an address: a blank, a quote, a bracket, a comma."""

    def take(self, text: str, *, final: bool) -> tuple[int, bool]:
        """See Ending.take."""
        match = _WORD_END.search(text)
        return (match.start(), True) if match else (len(text), final)


class KeyEnding:
    """To the END of a key block; where that is missing, to its last line."""

    def __init__(self, place: int) -> None:
        """place: up to here the first text is known to belong to it."""
        self._place = place

    def take(self, text: str, *, final: bool) -> tuple[int, bool]:
        """See Ending.take; the first text begins with the block."""
        place = self._place
        while (match := self._next(text, place)) and match.start() - place <= _GAP:
            place = match.end()
            if match.group().endswith("-----"):
                return place, True
        # Another line, or the END, may still come near; and the last line may go on.
        if len(text) - place < _GAP + 64 and not final:
            self._place = min(place, _LINE)  # enough of a line to know it again
            return place - self._place, False
        last = _LAST_LINE.match(text, place)
        return (last.end() if last else place), True

    @staticmethod
    def _next(text: str, place: int) -> re.Match[str] | None:
        """Return the next line, or the rest of that in which `place` is."""
        match = _MATERIAL.search(text, max(0, place - _LINE))
        return match if match is None or match.end() > place else _MATERIAL.search(text, place)


def _scoped(pattern: re.Pattern[str]) -> str:
    """Return the source of a pattern, its flags with it."""
    flags = "".join(
        letter
        for letter, flag in (("a", re.A), ("i", re.I), ("m", re.M), ("s", re.S), ("x", re.X))
        if pattern.flags & flag
    )
    return f"(?{flags}:{pattern.pattern})" if flags else f"(?:{pattern.pattern})"
