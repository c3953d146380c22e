"""The words of a text as they are compared: folded, stemmed, without the ones that say nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

# Numbers keep their decimal and thousands marks; East Asian scripts count by character.
_WORD = re.compile(
    r"\d+(?:[.,:]\d+)*|[぀-ヿ㐀-鿿가-힯]|(?:(?![぀-ヿ㐀-鿿가-힯])[^\W\d_])+\d*",
)
_CLITIC = re.compile(r"['’](?:s|t|re|ve|ll|d|m)\b")


def listed(text: str) -> frozenset[str]:
    """Return the words of a list that is written as a text."""
    return frozenset(text.split())


STOP = listed(  # as `fold` leaves them
    """a about above after again against all also am an and any are as at be because been before
    being below between both but by can could did do does doing done down during each few for from
    further had has have having he her here hers herself him himself his how i if in into is it its
    itself just many me might more most much must my myself no nor not now of off on once only or
    other our ours out over own per please same shall she should so some such tell than that the
    their theirs them themselves then there these they this those through to too under until up upon
    us very was we were what when where which while who whom whose why will with within without
    would yes yet you your yours der das dem des ein eine einer eines und oder ist sind
    wie was wer wo wann warum welche welcher welches im in am zu von mit fur auf le la les un une
    des du de et ou est sont qui que quoi ou quand comment pourquoi dans sur el los las una y
    o es que quien donde cuando como"""
)

_IRREGULAR = dict(
    pair.split("=")
    for pair in listed("""began=begin begun=begin became=become built=build bought=buy caught=catch
    chose=choose chosen=choose came=come drew=draw drawn=draw drove=drive driven=drive fell=fall
    fallen=fall felt=feel fought=fight found=find flew=fly forbade=forbid gave=give given=give
    went=go gone=go grew=grow grown=grow held=hold hid=hide hidden=hide kept=keep knew=know
    known=know laid=lay led=lead left=leave lost=lose made=make meant=mean met=meet paid=pay
    ran=run said=say saw=see seen=see sent=send sold=sell shot=shoot spoke=speak spoken=speak
    spent=spend stood=stand stole=steal struck=strike swore=swear taught=teach took=take taken=take
    told=tell thought=think threw=throw won=win wore=wear wrote=write written=write rose=rise
    sank=sink sang=sing sought=seek sprang=spring bore=bear broke=break broken=break brought=bring
    ate=eat heard=hear understood=understand men=man women=woman children=child people=person
    feet=foot teeth=tooth mice=mouse death=die dead=die died=die dying=die dies=die birth=born
    founded=founder founding=founder lives=live lived=live living=live life=live""")
)
_SUFFIXES = (
    ("ization", "ize"), ("isation", "ize"), ("ational", "ate"), ("fulness", "ful"),
    ("iveness", "ive"), ("ations", "ate"), ("ation", "ate"), ("ators", "ate"), ("ator", "ate"),
    ("ments", ""), ("ment", ""), ("nesses", ""), ("ness", ""), ("ities", ""), ("ity", ""),
    ("ically", "ic"), ("ical", "ic"), ("ably", "able"), ("ingly", ""), ("edly", ""), ("ings", ""),
    ("ing", ""), ("ied", "y"), ("ies", "y"), ("ers", ""), ("ors", ""), ("er", ""), ("or", ""),
    ("ions", ""), ("ion", ""), ("sses", "ss"), ("ally", "al"), ("ed", ""), ("es", ""), ("ly", ""),
    ("s", ""), ("e", ""),
)  # fmt: skip


class Word(NamedTuple):
    """One word: what it is compared by, how it was written, where."""

    stem: str
    text: str
    start: int

    @property
    def is_number(self) -> bool:
        """True for digits."""
        return self.text[0].isdigit()

    @property
    def is_name(self) -> bool:
        """True when it is written like a name: with a capital."""
        return self.text[0].isupper()


def words(text: str) -> list[Word]:
    """Return every word of `text` in order, stop words included."""
    return [
        Word(stem(match.group()), match.group(), match.start())
        for match in _WORD.finditer(_CLITIC.sub(_blank, text))
    ]


def stems(text: str) -> set[str]:
    """Return what the words of `text` are compared by, each once."""
    return set(map(stem, _WORD.findall(_CLITIC.sub(_blank, text))))


def content(found: Iterable[Word]) -> list[Word]:
    """Return the words that say what a text is about."""
    return [word for word in found if fold(word.text) not in STOP]


@lru_cache(maxsize=65_536)  # a language has few words, and texts repeat them
def stem(word: str) -> str:
    """Return what `word` is compared by: folded, without its most common English endings.

    Light on purpose: it only has to bring "established" and "establishment" together.
    Words of other languages pass through nearly unchanged.
    """
    word = fold(word)
    if not word.isalpha() or len(word) < 4:
        return word.replace(",", "") if word[:1].isdigit() else _IRREGULAR.get(word, word)
    word = _IRREGULAR.get(word, word)
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: -len(suffix)] + instead
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]  # "planned" -> "plan"
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 3 and word.endswith("y") else word


def fold(word: str) -> str:
    """Return `word` without case, accents and compatibility forms."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFKD", word).casefold()
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())
