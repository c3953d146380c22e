"""Whether two questions ask the same, told by their words.

Vectors cannot tell: questions that differ in "east" or "west", "when" or "where", 2017 or 2018
have cosines up to .99 (docs/decisions/0018). So two questions are one when their words are,
up to what a table says means the same; vectors only find the candidates.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

DEFAULT_TABLE = Path(__file__).with_suffix(".yaml")

Words = tuple[str, ...]

_TOKEN = re.compile(
    r"""(?:[^\W\d_]\.){2,}              # U.S.
      | (?<!\S)[-−]?\d+(?:[.,:]\d+)*    # -5, 1,000, 3.11, 12:30
      | \d+(?:[.,:]\d+)*
      | [^\W\d_]+(?:['’][^\W\d_]+)*[+#]*   # don't, C++
      | [^\w\s?.,;:!…"'“”‘’„«»()\[\]-]     # <, %, €, ¬: a sign may be what matters
    """,
    re.VERBOSE,
)
_ENDING = re.compile(r"[\s?.!…]+$")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_NUMBER = re.compile(r"[-−]?\d")
_NUMBERS = {
    word: written
    for words, form in (
        (
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen seventeen eighteen nineteen twenty",
            "{}",
        ),
        ("zeroth first second third fourth fifth sixth seventh eighth ninth tenth", "{}th"),
        ("- - - thirty forty fifty sixty seventy eighty ninety", "{}0"),
    )
    for word, written in ((word, form.format(n)) for n, word in enumerate(words.split()))
}
_CONTRACTED = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'m": "am"}
_WHOLE = {"can't": "can not", "won't": "will not", "cannot": "can not", "shan't": "shall not"}
_IS = frozenset("what who where when why how it that there he she here".split())  # noqa: SIM905
# A text with one of these is English; only then may words be left out or exchanged.
_ENGLISH = frozenset("what which who whom whose where when why how does did the".split())  # noqa: SIM905
_NEGATION = frozenset("not no never none nobody nothing neither nor without".split())  # noqa: SIM905
_ASKED = frozenset("what who whom whose where when why how year time many much long".split())  # noqa: SIM905
_TENSE = frozenset(
    "is are was were be been do did has have had will would can could may might must should".split()  # noqa: SIM905
)
_PRIVATE = re.compile(
    r"[^\s@]{1,64}@[^\s@]{1,64}\.\w|(?:\d[ -]?){7,}|\b[A-Z]{2}\d{2}(?: ?\w{4}){3,}"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word as it is compared; a name is left as it is."""

    word: str
    name: bool


class Alike:
    """Compares questions by a table of what means the same."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._fillers = frozenset(table["fillers"])
        self._articles = frozenset(table["articles"])
        self._before_articles = frozenset(table["before_articles"])
        self._personal = frozenset(table["personal"])
        self._ambiguous = frozenset(table["ambiguous"])
        self._openings = sorted((tuple(o.split()) for o in table["openings"]), key=len)[::-1]
        self._phrases = {
            tuple(token.word for token in tokens(variant)): tuple(canonical.split())
            for canonical, variants in table["words"].items()
            for variant in variants
        }
        self._longest = max(map(len, self._phrases))
        self._forms = [
            (number, _pattern(form))
            for form, number in sorted(
                (
                    (form, number)
                    for number, forms in enumerate([*_agents(table["agents"]), *table["forms"]])
                    for form in forms
                ),
                key=lambda item: -len(item[0]),  # "where is X located" before "where is X"
            )
        ]
        self._read = lru_cache(maxsize=4096)(self._compared)

    @classmethod
    def load(cls, path: Path = DEFAULT_TABLE) -> Alike:
        """Read the table."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def personal(self, question: str) -> bool:
        """Return whether a question is about who asks it, or about when: its answer is theirs."""
        if _PRIVATE.search(question):
            return True
        return any(
            token.word in self._personal and not (token.word == "us" and token.name)
            for token in self._opened(tokens(question))
        )

    def difference(self, one: str, other: str) -> str | None:
        """Return in what two questions differ, in one word; None when they ask the same."""
        if self._letters(one, other):
            return "letters"
        first, second = self._read(one), self._read(other)
        if first == second:
            return None
        return kind(words_of(first), words_of(second))

    def _letters(self, one: str, other: str) -> bool:
        """Return whether capitals make a difference: WHO and who, Polish and polish.

        Elsewhere than in English they make one in every word.
        """
        first, second = _cased(one), _cased(other)
        english = _is_english(first) and _is_english(second)
        lower = not any(map(_has_capital, first[1:])) or not any(map(_has_capital, second[1:]))
        for mine, theirs in _same_words(first, second):
            if mine == theirs:
                continue
            if not english or mine.casefold() in self._ambiguous:
                return True
            # Who types everything small writes acronyms small, too.
            if mine.isupper() != theirs.isupper() and len(mine) > 1 and not lower:
                return True
        return False

    def _compared(self, question: str) -> tuple[int, Words]:
        """Return the form of a question and its words: equal for questions that are one."""
        found = self._opened(tokens(question))
        if not _ENGLISH & {token.word for token in found}:
            return -1, tuple(token.word for token in found)
        words = tuple(self._exchanged(self._without_fillers(found)))
        line = " ".join(words)
        for number, form in self._forms:
            if match := form.fullmatch(line):
                return number, tuple(match[1].split())
        return -1, words

    def _opened(self, found: Sequence[Token]) -> Sequence[Token]:
        words = tuple(token.word for token in found)
        for opening in self._openings:
            if words[: len(opening)] == opening:
                return found[len(opening) :]
        return found

    def _without_fillers(self, found: Sequence[Token]) -> list[Token]:
        kept = []
        for place, token in enumerate(found):
            before = found[place - 1].word if place else ""
            article = token.word in self._articles and before in self._before_articles
            if token.name or not (article or token.word in self._fillers):
                kept.append(token)
        return kept

    def _exchanged(self, found: Sequence[Token]) -> Iterator[str]:
        place = 0
        while place < len(found):
            for length in range(self._longest, 0, -1):
                part = found[place : place + length]
                words = tuple(token.word for token in part)
                # A name of several words is one ("United States"); a word in capitals is not.
                if words in self._phrases and not (length == 1 and part[0].name):
                    yield from self._phrases[words]
                    place += length
                    break
            else:
                yield found[place].word
                place += 1


def typed(question: str) -> str:
    """Return a question without what differs between two ways to type it: case, spaces, the end."""
    text = unicodedata.normalize("NFKC", question).replace("’", "'")
    return _ENDING.sub("", " ".join(text.split())).casefold()


def tokens(question: str) -> list[Token]:
    """Return the words and signs of a question, numbers as digits, contractions apart."""
    text = unicodedata.normalize("NFKC", question).replace("’", "'")
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        written = match[0]
        word = written.casefold()
        name = bool(found) and written[0].isupper() and word != "i"
        if _THOUSANDS.fullmatch(word):
            word = word.replace(",", "")
        found += [Token(part, name) for part in _parts(_NUMBERS.get(word, word))]
    return found


def kind(one: Words, other: Words) -> str:
    """Return what kind of difference there is between the words of two questions."""
    differing = set(one) ^ set(other)
    if any(_NUMBER.match(word) for word in differing):
        return "number"
    for name, words in (("negation", _NEGATION), ("asked", _ASKED), ("tense", _TENSE)):
        if differing & words:
            return name
    return "words" if differing else "order"


def words_of(compared: tuple[int, Words]) -> Words:
    """Return the words of a compared question, the number of its form among them."""
    form, words = compared
    return (*words, f"form:{form}")


def _parts(word: str) -> list[str]:
    if word in _WHOLE:
        return _WHOLE[word].split()
    for ending, expanded in _CONTRACTED.items():
        if word.endswith(ending) and len(word) > len(ending):
            return [word[: -len(ending)], expanded]
    if word.endswith("'s"):
        stem = word[:-2]
        return [stem, "is"] if stem in _IS else [stem]
    return [word]


def _pattern(form: str) -> re.Pattern[str]:
    words = (_NUMBERS.get(word, word) for word in form.split())
    return re.compile(" ".join("(.+)" if word == "X" else re.escape(word) for word in words))


def _agents(verbs: Sequence[Sequence[str]]) -> list[list[str]]:
    return [
        [
            f"who {verb} X",
            f"who is {person} of X",
            f"who was {person} of X",
            f"who was X {participle} by",
            f"by whom was X {participle}",
        ]
        for verb, participle, person in verbs
    ]


def _cased(question: str) -> list[str]:
    text = unicodedata.normalize("NFKC", question).replace("’", "'")
    return [match[0] for match in _TOKEN.finditer(text)]


def _same_words(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the words of both questions that are equal but for case, each with its like.

    The first word of a question has its capital by its place.
    """
    for word in one:
        for like in other:
            if word.casefold() != like.casefold():
                continue
            if {word, like} & {one[0], other[0]} and word[1:] == like[1:]:
                continue
            yield word, like


def _is_english(words: Sequence[str]) -> bool:
    return not _ENGLISH.isdisjoint(word.casefold() for word in words)


def _has_capital(word: str) -> bool:
    return any(map(str.isupper, word)) and word != "I"
