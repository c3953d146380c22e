"""The questions inside a question: "Who wrote X and when was Y founded?" asks two.

By rules over the words that open a question. What may be one question with a long clause in it
stays one: the whole question is searched in any case, so a missed split costs little.
"""

from __future__ import annotations

import re
from itertools import pairwise

from nodes import cues
from nodes.antecedents import Exchange
from nodes.phrases import ARTICLES, AUXILIARY, Phrase, content_words, phrases
from nodes.rewriting import resolved

MOST_PARTS = 3
MAX_CHARACTERS = 500  # a longer question is searched as it is

_BE = "is|are|was|were"
_AUX = "|".join(sorted(word for word in AUXILIARY if word.isalpha() and len(word) > 1))
_SUBJECT = "it|he|she|they|there|this|that|these|those|i|you|we|one"
_DETERMINED = "|".join(sorted(ARTICLES))
# Who asks where something is begins with a question's words in a question's order;
# "and when the network is down", "and was sold in 1990" only continue one.
_DIRECT = (
    rf"(?:when|where|why|whom) (?:{_AUX})\b|how (?!(?:{_SUBJECT}|{_DETERMINED})\b)|"
    rf"(?:what|which|who|whose) (?!(?:{_SUBJECT}|{_DETERMINED})\b)|(?:{_AUX}) (?:{_SUBJECT})\b"
)
_ALSO = rf"(?:{_AUX}) (?:{_DETERMINED})\b"  # "and is the warranty", but "and is the capital"
_TOLD = r"(?:what|which|who|whose|whom|when|where|why|how)\b"  # "and when it opened"
_REQUEST = re.compile(
    r"^(?:please )?(?:(?:can|could|would|will) you (?:please )?)?(?:tell me|explain|show me|"
    r"do you know|i(?: would|['’]d) like to know|i want to know)(?: to me| please)?[\s,:]+"
    r"(?=(?:what|which|who|whose|whom|when|where|why|how)\b)",
    re.IGNORECASE,
)
_BINDS = r"(?:[,;]?\s+(?:and|but)(?: also| then)?|[;?]|[.?!]\s+(?:and|also)),?\s+"
_WHOSE_SUBJECT = re.compile(r"(?:\w+ )?(?:what|which|who|whose)\b", re.IGNORECASE)
_WHO = re.compile(
    rf"^who (?:(?:{_BE}) (?P<role>the .+)|(?P<deed>(?!(?:{_AUX})\b)\w+ .+))$", re.IGNORECASE
)
_CONTRAST = re.compile(
    r"\b(?:differences?|distinction|differ|differs|compare[ds]?|comparison|versus|vs\.?|"
    r"in common|the same)\b",
    re.IGNORECASE,
)
_FIRST = re.compile(r"\b(?:first|earlier|later|[a-z]{3,}est)\b")
_OR = re.compile(r" or (?:the |an? |in |at |for )?", re.IGNORECASE)
_JOINED = re.compile(r",? (?:and|or|vs\.?|versus|with|to|from) (?:the |an? )?", re.IGNORECASE)


def split(question: str) -> list[str]:
    """Return the questions inside a question, each whole; none when it is one.

    "Who wrote X and when was Y founded?" asks two, "Which is older, A or B?" needs both.
    """
    if len(question) > MAX_CHARACTERS:
        return []
    return _conjoint(question.strip()) or _compared(question)


def _conjoint(question: str) -> list[str]:
    if _CONTRAST.search(question):
        return []
    request = _REQUEST.match(question)
    text = question[request.end() :] if request else question
    # In "which city was old and is the capital", the question's subject goes on.
    openers = [_DIRECT, *([_TOLD] if request else [])]
    openers += [] if _WHOSE_SUBJECT.match(text) and not request else [_ALSO]
    parts = re.split(rf"{_BINDS}(?={'|'.join(openers)})", text, flags=re.IGNORECASE)
    parts = [part.strip(" ,;?!.") for part in parts]
    if not 1 < len(parts) <= MOST_PARTS:
        return []
    whole: list[str] = []
    for part in parts:
        told = _standing_alone(part, whole[0].rstrip("?")) if whole else part
        leans = cues.BARE.match(told) or cues.person(told) or cues.refers(told)
        if leans or not cues.is_clause(told) or not content_words(told):
            return []
        whole.append(f"{told[:1].upper()}{told[1:]}?")
    return whole


def _standing_alone(part: str, first: str) -> str:
    """Return a later part with what it borrows from the first: "he" is who is asked for there."""
    who, person = _WHO.match(first), cues.person(part)
    if who and person:
        named = who["role"] or f"the person who {who['deed']}"
        own = "'s" if person["word"].casefold() in {"his", "hers", "her"} else ""
        return f"{part[: person.start()]}{named}{own}{part[person.end() :]}"
    if person or cues.refers(part):
        return resolved(part, [Exchange(first, "")])
    return part


def _compared(question: str) -> list[str]:
    """Return the question once for each of the things it compares."""
    contrast = _CONTRAST.search(question)
    if not contrast and not cues.comparative(question) and not _FIRST.search(question):
        return []
    names = [_bare(p) for p in phrases(question) if p.kind in {"name", "quoted"}]
    for first, second in pairwise(names):
        joint = question[first.end : second.start]
        if (contrast and _JOINED.fullmatch(joint)) or _OR.fullmatch(joint):
            start, end = first.start, second.end
            return [f"{question[:start]}{p.text}{question[end:]}" for p in (first, second)]
    return []


def _bare(phrase: Phrase) -> Phrase:
    """Return a name without what compares it: "is A or the Aqua 500 quieter", "Compare A"."""
    head, _, last = phrase.text.rpartition(" ")
    if head and last.islower() and (cues.comparative(last) or _FIRST.fullmatch(last)):
        return phrase._replace(text=head, end=phrase.start + len(head))
    first, _, tail = phrase.text.partition(" ")
    if tail and _CONTRAST.fullmatch(first):
        return phrase._replace(text=tail, start=phrase.end - len(tail))
    return phrase
