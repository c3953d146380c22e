"""Reads a question: the words it is about, and what kind of thing would answer it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from core.sentences import split
from tgi.embedded.words import Word, content, words

LONG_WORDS = 80  # beyond this a message is a text with a question in it
REPEATED_WORDS = 3  # a shorter question stands in texts by chance
MAX_TERMS = 64  # the embedding model reads little more; keeps the work bounded

_I = re.IGNORECASE
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("date", re.compile(
        r"\bwhen\b|\b(?:what|which)(?: \w+)? (?:year|date|day|month|century|decade|time)\b", _I)),
    ("number", re.compile(
        r"\bhow (?:many|much|long|old|far|tall|big|large|high|often|fast|deep|wide|heavy)\b"
        r"|\b(?:what|which) (?:percentage|percent|number|amount|population|proportion|fraction"
        r"|size|cost|price|length|area|rate|portion|ratio|temperature|distance)\b"
        r"|\bpercentage of\b", _I)),
    ("name", re.compile(
        r"\bwho(?:se|m)?\b|\bwhere\b|\b(?:what|which)(?: \w+)? (?:city|country|state|county|river"
        r"|region|place|company|person|man|woman|king|queen|president|emperor|leader|author"
        r"|artist|scientist|team|player|university|school|group|organi[sz]ation|nation|island"
        r"|continent)\b", _I)),
    ("reason", re.compile(r"\bwhy\b|\bwhat (?:is|was) the (?:reason|cause)\b", _I)),
    ("steps", re.compile(r"\bhow (?:do|does|can|should|to|would|could)\b", _I)),
)  # fmt: skip
_DATE = re.compile(
    r"\b(?:1\d{3}|20\d{2})s?\b|\b(?:January|February|March|April|May|June|July|August|September"
    r"|October|November|December|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b"
    r"|\bcentur(?:y|ies)\b|\bdecades?\b|\b\d{1,2}:\d{2}\b"
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty"
    r"|forty|fifty|hundreds?|thousands?|millions?|billions?|half|third|quarter|twice|no)\b",
    _I,
)
_REASON = re.compile(
    r"\b(?:because|due to|since|so that|in order to|as a result|therefore|thus|owing to|caused"
    r"|reasons?|allow(?:s|ed)?|to avoid|to prevent|led to|leads to)\b",
    _I,
)
_STEPS = re.compile(r"`|\b(?:run|use|set|add|install|open|click|by \w+ing|using|with)\b", _I)
_NEGATION = re.compile(
    r"\b(?:not|never|no|none|without|neither|nor|cannot|except|unlike|\w+n['’]t|least|last|only)\b",
    _I,
)
_QUOTED = re.compile(r"[\"“„«‘]([^\"“”„«»‘’\n]{3,400}\?)[\"”“»’]")
_LEANS = re.compile(
    r"^\W*(?:and|but|what about|how about|why|go on|more|tell me more)\b"
    r"|\b(?:it|its|he|him|his|she|her|they|them|their|this|that|these|those|there|one)\b",
    _I,
)


class Question:
    """A question in the words that it is compared by."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(pointed(text).split())
        self.words = words(self.text)
        terms = content(self.words)[:MAX_TERMS]
        self.terms = [word.stem for word in terms]
        self.unique = tuple(dict.fromkeys(self.terms))
        self.pairs = list(pairwise(self.terms))
        first = self.words[0].start if self.words else -1
        self.numbers = {word.stem for word in terms if word.is_number}
        self.names = self.numbers | {
            word.stem for word in terms if word.is_name and word.start != first
        }
        self.expects = next((kind for kind, asks in _KINDS if asks.search(self.text)), "")
        self.negates = denies(self.text)

    def repeated_by(self, text: str, *, code: bool = False) -> bool:
        """Return whether `text` only says that this is asked: alone, quoted, or in code.

        A page about questions holds all the words of one, and no answer to it.
        "How long? 3 days" in one row or sentence is none of these.
        """
        asked, said = _bare(self.text), _bare(text)
        if len(self.words) < REPEATED_WORDS or asked not in said:
            return False
        return code or asked == said or any(asked in _bare(one) for one in _QUOTED.findall(text))

    def answered_by(self, text: str, said: Sequence[Word], *, listed: bool = False) -> bool:
        """Return whether `text` holds something of the kind that is asked for, not yet named.

        said: the words of `text`. listed: it is a list item or a code block.
        """
        match self.expects:
            case "date":
                return _DATE.search(text) is not None
            case "number":
                return _NUMBER.search(text) is not None
            case "name":
                later = said[1:]  # the first word has its capital from its place
                return any(
                    word.is_name and len(word.text) > 1 and word.stem not in self.unique
                    for word in later
                )
            case "reason":
                return _REASON.search(text) is not None
            case "steps":
                return listed or _STEPS.search(text) is not None
        return False


def _bare(text: str) -> str:
    return " ".join(word.stem for word in words(text))


def pointed(text: str) -> str:
    """Return the question inside a long message: its sentences that ask, else its ends."""
    if len(text.split()) <= LONG_WORDS:
        return text
    parts = [text[part.start : part.stop] for part in split(text) if part.kind != "code"]
    asking = [part for part in parts if part.endswith("?")][-3:]
    return " ".join(asking or [*parts[:1], *parts[-1:]])


def standalone(text: str, earlier: Sequence[str]) -> str:
    """Return `text`, led in by the question before it when it cannot stand alone.

    earlier: the user's messages so far, oldest first.
    """
    said = words(text)
    own = content(said)
    leans = len(own) < 2 or (len(own) < 5 and _LEANS.search(text) is not None)
    if not earlier or not leans or any(word.is_name and word.start > 0 for word in own):
        return text
    return f"{pointed(earlier[-1])} {text}"


def denies(text: str) -> bool:
    """Return whether `text` says "not", "never", "only" or the like."""
    return _NEGATION.search(text) is not None
