"""The phrases of a sentence that name something, found without a grammar.

English, by small closed lists of words: what is capitalised, quoted or a number is a name; what
follows an article or a preposition is a noun. What this cannot tell apart is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple


def listed(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


ASKING = listed("what which who whom whose where when why how")
AUXILIARY = listed(
    """is are was were be been being am do does did done have has had can could will would shall
    should may might must isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't"""
)
ARTICLES = listed("a an the my your our this that these those every each any some no all both")
PREPOSITIONS = listed(
    """about above after against at before behind below between by during for from in inside into
    near of on onto over since than through to toward towards under until up upon with within
    without"""
)
PRONOUNS = listed(
    """i me my mine you your yours he him his she her hers it its we us our ours they them their
    theirs this that these those one ones other others there"""
)
# Words that point, ask or bind but name nothing.
FUNCTION_WORDS = (
    ASKING
    | AUXILIARY
    | ARTICLES
    | PREPOSITIONS
    | PRONOUNS
    | listed(
        """also always and another as back but cannot either else ever example explain get give go
        going here i'm if instead it's just know let like likes long make many mean means meant
        more most much need needs never nor not now off often ok okay or out please same say so
        still such tell then thing things too us use uses used want well what's where's who's yes
        yet no sorry actually wait rather because however while very only even again hi hello"""
    )
)
# Verbs that questions and answers are full of; a noun phrase does not go on with one.
_VERBS = listed(
    """cost costs work works run runs last lasts begin began begins start starts started end ends
    ended take takes took come comes came become became founded built born died write wrote written
    made happen happens happened live lived lives open opens close closes mean pay pays include
    includes support supports cover covers store stores hold holds signed won led commanded learned
    taught known called play played die handed own owns sell sells install installed released
    restore buy water apply applies stand stands stays stay lie lies lay held gave given found
    shut require requires contain contains exist exists handle handles look looks"""
)
# Behind one of these and its subject comes a verb: "does the Orbit 50 reach".
_HELPING = listed("do does did can could will would shall should may might must")
_WORD = re.compile(r"[\w$€%](?:[\w.+#'’/&:-]*[\w+#%])?")
_QUOTED = re.compile(r"[\"“„«]([^\"”“»]{2,80})[\"”“»]|`([^`]{2,80})`")
_BINDING = listed("of for in on at from de la van von der with")
_IN_NAMES = listed("of the de la van von der du")

Kind = Literal["quoted", "name", "number", "noun"]


class Phrase(NamedTuple):
    """A stretch of a text that names something."""

    text: str
    start: int
    end: int
    kind: Kind


class Token(NamedTuple):
    """A word and where it stands."""

    text: str
    start: int
    end: int

    @property
    def plain(self) -> str:
        """Return the word as it is compared."""
        return self.text.casefold().replace("’", "'")


def tokens(text: str) -> list[Token]:
    """Return the words of `text`; marks inside a word (3.11, C++, don't) belong to it."""
    return [Token(m.group(), m.start(), m.end()) for m in _WORD.finditer(text)]


def written_words(text: str) -> list[str]:
    """Return the words of `text` as they are written there."""
    return _WORD.findall(text)


def content_words(text: str) -> list[str]:
    """Return the words that say what a text is about, as they are compared."""
    return [
        token.plain.removesuffix("'s")
        for token in tokens(text)
        if token.plain not in FUNCTION_WORDS and (len(token.text) > 1 or token.text.isdigit())
    ]


def names_something(text: str) -> bool:
    """Return whether `text` has at least two words that mean something by themselves."""
    return len(content_words(text)) > 1


@lru_cache(maxsize=1024)  # the rules ask again and again about the same few questions
def phrases(text: str) -> tuple[Phrase, ...]:
    """Return what a sentence names, in its order, without overlaps."""
    found = [
        Phrase(m.group(1) or m.group(2), m.start(), m.end(), "quoted")
        for m in _QUOTED.finditer(text)
    ]
    words = [t for t in tokens(text) if not any(p.start <= t.start < p.end for p in found)]
    found += _names(text, words)
    free = [t for t in words if not any(p.start <= t.start < p.end for p in found)]
    found += _nouns(text, words, {t.start for t in free})
    return tuple(sorted(found, key=lambda phrase: phrase.start))


def chain(text: str, found: Sequence[Phrase], first: Phrase) -> str:
    """Return `first` with what is bound to it by "of", "for" or "in": "the price of the plan"."""
    end = first.end
    for phrase in found:
        if phrase.start < end:
            continue
        between = [token.plain for token in tokens(text[end : phrase.start])]
        if not between or not all(w in _BINDING or w in ARTICLES for w in between):
            break
        end = phrase.end
    return text[first.start : end]


def _names(text: str, words: Sequence[Token]) -> list[Phrase]:
    """Return runs of capitalised words and numbers: "Tomas Hale", "Aqua 300"."""
    found: list[Phrase] = []
    run: list[Token] = []

    def finish() -> None:
        while run and run[-1].plain in _IN_NAMES:
            run.pop()
        after = next((t for t in words if run and t.start > run[-1].start), None)
        if after is not None and text[run[-1].end : after.start] == " " and _is_noun(after):
            before = [t for t in words if t.end <= run[0].start]
            # "the Basic plan", "a Boston fern", "30 days"; but "did Anna learn"
            named = run[-1].text[0].isdigit() or (before and before[-1].plain in ARTICLES)
            if named and not _is_subject(words, run[0], after):
                run.append(after)
        if run:
            digits = all(token.text[0].isdigit() for token in run)
            found.append(
                Phrase(
                    text[run[0].start : run[-1].end],
                    run[0].start,
                    run[-1].end,
                    "number" if digits else "name",
                )
            )
        run.clear()

    for place, token in enumerate(words):
        gap = text[words[place - 1].end : token.start] if place else ""
        if run and gap.strip():
            finish()
        inside = bool(run) and token.plain in _IN_NAMES and run[-1].text[0].isupper()
        if inside or _is_name(text, token):
            run.append(token)
        else:
            finish()
    finish()
    return found


def _is_name(text: str, token: Token) -> bool:
    if token.text[0].isdigit():
        return True
    if not any(letter.isupper() for letter in token.text):
        return False
    # The first word of a sentence is capitalised for no other reason.
    first = not text[: token.start].strip() or text[: token.start].rstrip()[-1] in ".!?:"
    return token.plain not in FUNCTION_WORDS and not (first and token.plain in _VERBS)


def _is_noun(token: Token) -> bool:
    """Return whether a word in small letters may well be a noun."""
    word = token.plain
    known = word in FUNCTION_WORDS or word in _VERBS or word.endswith(("ed", "ly"))
    return word.isalpha() and len(word) > 2 and not known


def _is_subject(words: Sequence[Token], first: Token, last: Token) -> bool:
    """Return whether `first` begins the subject of a question whose verb is `last`, its end."""
    before = [t.plain for t in words if t.end <= first.start]
    while before and before[-1] in ARTICLES:
        before.pop()
    return bool(before) and before[-1] in _HELPING and last == words[-1]


def _nouns(text: str, words: Sequence[Token], free: set[int]) -> list[Phrase]:
    """Return what follows an article, a preposition, an asking word or an auxiliary verb."""
    found: list[Phrase] = []
    place = 0
    while place < len(words):
        opens = words[place].plain in ARTICLES | PREPOSITIONS | ASKING | AUXILIARY | {
            "many",
            "much",
        }
        place += 1
        start = place
        while (
            place < len(words)
            and words[place].start in free
            and words[place].plain not in FUNCTION_WORDS
            and words[place].plain not in _VERBS
            and place - start < 4
            and not (place > start and text[words[place - 1].end : words[place].start].strip())
        ):
            place += 1
        if opens and place > start:
            verb = place - start > 1 and _is_subject(words, words[start], words[place - 1])
            first, last = words[start], words[place - 2 if verb else place - 1]
            found.append(Phrase(text[first.start : last.end], first.start, last.end, "noun"))
    return found
