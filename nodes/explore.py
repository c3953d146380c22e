"""Other words for a question that finds too little, and the questions inside a question.

Pure functions. They add queries, never take the question itself away: what it finds is asked
for first, and what the others find is laid between or behind it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

from core.turn import Passage
from nodes import cues
from nodes.antecedents import Exchange
from nodes.phrases import ASKING, AUXILIARY, content_words, phrases, tokens
from nodes.rewriting import resolved
from tgi.embedded.words import content, fold, stem, words

MOST_PARTS = 3  # sub-questions of one question
MAX_CHARACTERS = 500  # a longer question is searched as it is
# Too little was found when the best passage is farther than this and the passages together
# lack that share of the question's weight in words. docs/decisions/0016 has the measurement.
FAR = 0.45
LACKING = 0.34
LOOKED_AT = 5  # passages
NAMES_COUNT = 2.0  # weight of a name or number beside that of another word

_OPENERS = "|".join(sorted(ASKING | {w for w in AUXILIARY if "'" not in w and len(w) > 1}))
_CONJOINT = re.compile(
    rf"(?:[,;]?\s+(?:and|but)(?: also| then)?|[;?]|[.?!]\s+and)\s+(?=(?:{_OPENERS})\b)",
    re.IGNORECASE,
)
_COMPARATIVE = re.compile(
    r"\b(?:\w{2,}er|more|less|fewer|better|worse|first|most|\w{3,}est)\b", re.IGNORECASE
)
_CONTRAST = re.compile(
    r"\b(?:differences?|distinction|differ|differs|compare[ds]?|comparison|versus|vs\.?|"
    r"in common|the same)\b",
    re.IGNORECASE,
)
_OR = re.compile(r",? or (?:the |an? |in |at |for )?")
_JOINED = re.compile(r",? (?:and|or|vs\.?|versus|with|to|from) (?:the |an? )?")
_ACRONYM = re.compile(r"\b[A-Z][A-Z0-9]{1,5}\b")
_SPELLED = re.compile(r"\b((?:[A-Z][\w-]+ (?:(?:of|the|and|for|in|on) )*){1,6}[A-Z][\w-]+)")
_ROLES = (
    "founder author director inventor leader commander owner maker builder designer composer "
    "painter writer singer ruler governor mayor editor creator publisher producer discoverer "
    "manager coach teacher architect king queen president head wife husband father mother brother "
    "sister son daughter capital country city town river lake company"
).replace(" ", "|")
_DESCRIBED = re.compile(
    rf"\bthe (?P<role>{_ROLES}) (?:of|who|that|which|where|behind) "
    r"(?:(?!(?:was|is|are|were|did|do|does|has|have|had|die[ds]?|born|lived?|live|worked?)\b)"
    r"[\w'’.-]+ ?){1,7}(?<! )",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much the found passages say about the question's words."""

    nearest: float  # cosine of the best passage
    lacking: float  # share of the question's words, by weight, that no passage has
    words: tuple[str, ...]  # those words

    @property
    def weak(self) -> bool:
        """Return whether looking again is worth it."""
        return self.nearest < FAR and self.lacking > LACKING

    def record(self) -> dict[str, Any]:
        """Return what the turn log keeps."""
        return {**asdict(self), "words": list(self.words), "weak": self.weak}


def split(question: str) -> list[str]:
    """Return the questions inside a question, each whole; none when it is one.

    "Who wrote X and when was Y founded?" asks two, "Which is older, A or B?" needs both.
    """
    if len(question) > MAX_CHARACTERS:
        return []
    return (_conjoint(question) or _compared(question))[:MOST_PARTS]


def evidence(question: str, found: Sequence[Passage]) -> Evidence:
    """Return how much of `question` the first passages cover."""
    asked = {word.stem: word for word in content(words(question))}
    first = found[:LOOKED_AT]
    there = {word.stem for p in first for word in words(f"{p['title']} {p['section']} {p['text']}")}
    weights = {
        form: NAMES_COUNT if word.is_number or (word.is_name and word.start) else 1.0
        for form, word in asked.items()
    }
    missing = [form for form in asked if form not in there]
    total = sum(weights.values())
    lacking = sum(weights[form] for form in missing) / total if total else 0.0
    nearest = max((p["scores"].get("vector", 0.0) for p in first), default=0.0)
    return Evidence(
        round(nearest, 4), round(lacking, 4), tuple(asked[form].text for form in missing)
    )


def expand(question: str, lacking: Sequence[str], found: Sequence[Passage]) -> tuple[str, str]:
    """Return the question in the words of what was found, and why; ("", "") when there is nothing.

    Acronyms are spelled out, words nobody wrote are spelled as they are written there, and the
    title that the best passages share is added.
    """
    text, why = question, []
    told = " ".join(f"{p['title']} {p['section']} {p['text']}" for p in found)
    for word in lacking:
        if known := _spelling(word, told):
            text = re.sub(rf"\b{re.escape(word)}\b", known, text)
            why.append("spelling")
    for short in dict.fromkeys(_ACRONYM.findall(question)):
        if long := _long_form(short, told):
            text = f"{text} {long}"
            why.append("acronym")
    if short := _short_form(question, told):
        text = f"{text} {short}"
        why.append("acronym")
    titles = [p["title"] for p in found[:3] if p["title"]]
    shared = next((t for t in titles if titles.count(t) > 1), "")
    if shared and not set(content_words(shared)) <= set(content_words(text)):
        text = f"{text} {shared}"
        why.append("title")
    if text == question:
        return "", ""
    return text, "+".join(dict.fromkeys(why))


def bridge(question: str, found: Sequence[Passage]) -> str:
    """Return the question with a described person or thing named, as the best passage names it.

    "Where was the founder of X born?" becomes "Where was NAME born?" when the passage about X
    names somebody the question does not; "" when there is no such description.
    """
    match = _DESCRIBED.search(question)
    rest = f"{question[: match.start()]} {question[match.end() :]}" if match else ""
    if match is None or not found or not content_words(rest):
        return ""  # "who was the founder of X" asks for the name itself
    said = set(content_words(question))
    best = found[0]
    role = stem(match["role"])
    for sentence in re.split(r"(?<=[.!?])\s+", best["text"]):
        if not any(_related(role, word.stem) for word in words(sentence)):
            continue
        title = set(content_words(best["title"]))
        names = [
            p.text
            for p in phrases(sentence)
            if p.kind == "name" and not set(content_words(p.text)) & (said | title)
        ]
        if names:
            chosen = next((n for n in names if " " in n), names[0])
            return f"{question[: match.start()]}{chosen}{question[match.end() :]}"
    return ""


def merged(lists: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Return the passages of several queries in turn: the first of each, the second of each, …

    A passage found twice stands where it was found first.
    """
    order: dict[int, Passage] = {}
    for rank in range(max(map(len, lists), default=0)):
        for found in lists:
            if rank < len(found):
                order.setdefault(found[rank]["chunk_id"], found[rank])
    return list(order.values())


def _conjoint(question: str) -> list[str]:
    parts = [part.strip(" ,;") for part in _CONJOINT.split(question) if part.strip(" ,;?")]
    if not 1 < len(parts) <= MOST_PARTS:
        return []
    whole: list[str] = []
    for part in parts:
        text = part
        if whole and (cues.person(part) or cues.refers(part)):
            text = resolved(part, [Exchange(whole[0], "")])
        if not cues.is_clause(text) or len(content_words(text)) < 2 or cues.BARE.match(text):
            return []
        text = text.rstrip("?.! ") + "?"
        whole.append(text[:1].upper() + text[1:])
    return whole


def _compared(question: str) -> list[str]:
    """Return the question once for each of the things it compares."""
    contrast = _CONTRAST.search(question)
    if not contrast and not _COMPARATIVE.search(question):
        return []
    names = [p for p in phrases(question) if p.kind in {"name", "quoted"}]
    for first, second in pairwise(names):
        joint = question[first.end : second.start].casefold()
        if (contrast and _JOINED.fullmatch(joint)) or _OR.fullmatch(joint):
            start, end = first.start, second.end
            return [f"{question[:start]}{p.text}{question[end:]}" for p in (first, second)]
    return []


def _spelling(word: str, told: str) -> str:
    """Return how a word nobody wrote is written in what was found, "" when nothing is like it."""
    wanted = fold(word)
    if len(wanted) < 5:
        return ""
    best, likeness = "", 0.8
    for token in {t.text for t in tokens(told) if abs(len(t.text) - len(word)) <= 2}:
        candidate = fold(token)
        if candidate[:1] != wanted[:1] or stem(token) == stem(word):
            continue
        ratio = SequenceMatcher(None, wanted, candidate).ratio()
        if ratio > likeness:
            best, likeness = token, ratio
    return best


def _long_form(short: str, told: str) -> str:
    for match in _SPELLED.finditer(told):
        initials = "".join(w[0] for w in match[1].split() if w[0].isupper())
        if initials == short:
            return match[1]
    return ""


def _short_form(question: str, told: str) -> str:
    for match in _SPELLED.finditer(question):
        initials = "".join(w[0] for w in match[1].split() if w[0].isupper())
        if len(initials) > 1 and re.search(rf"\b{re.escape(initials)}\b", told):
            return initials
    return ""


def _related(role: str, word: str) -> bool:
    """Return whether two stems share their beginning: found(er), found(ed)."""
    length = min(len(role), len(word))
    return length > 3 and role[: max(4, length - 2)] == word[: max(4, length - 2)]
