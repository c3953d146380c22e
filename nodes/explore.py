"""What to search for besides a question's own words, when they may not be enough.

Pure functions. They add queries and never take the question itself away: what the others find is
laid between its own. What helps is measured by `evals run intent`; docs/decisions/0016 says what
did not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from core.turn import Passage
from nodes.parts import MAX_CHARACTERS, split
from nodes.phrases import content_words, listed, phrases, written_words
from tgi.embedded.words import content, fold, stem, stems, words

__all__ = ["Evidence", "bridge", "evidence", "expand", "merged", "split"]

# Looking again is worth it when the passages lack more than this share of the question's words;
# how near the best one is says nothing more. docs/decisions/0016 has the measurement.
LACKING = 0.1
LOOKED_AT = 5  # passages
NAMES_COUNT = 2.0  # weight of a name or number beside that of another word
SPELLED_LETTERS = 5  # a shorter word is too much like others
ALIKE = 0.8  # two spellings of one word, as difflib counts

_BETWEEN = r"[ -](?:(?:of|the|and|for|in|on) )*"  # words of a name that is shortened
_ROLES = (
    "founder author director inventor leader commander owner maker builder designer composer "
    "painter writer singer ruler governor mayor editor creator publisher producer discoverer "
    "manager coach teacher architect engineer chancellor minister king queen president head wife "
    "husband father mother brother sister son daughter capital"
).replace(" ", "|")
_NOUNS = "person|people|man|woman|one|team|company|plan|product|city|country|town|river|lake"
# The description ends where the question goes on about it.
_DESCRIBED = re.compile(
    rf"\bthe (?:(?:{_ROLES}) (?:of|behind)|(?:{_ROLES}|{_NOUNS}) (?:who|that|which|where))"
    r"(?: has| had| is| was| were)? "
    r"(?:(?!(?:was|is|are|were|did|do|does|has|have|had|can|will|known|cost|costs|die[ds]?|born|lived?|"
    r"live|worked?)\b)[\w’.-]+ ?){1,8}(?<! )",
    re.IGNORECASE,
)
_ENDINGS = listed(
    "s es ed d e ing er r ers or ly al ally ion ions y ies ity ive t m n ce cy us ous nt th st"
) | {""}
_NAMING = re.compile(r"\b(?:(?:known|regarded|considered) as|called|named?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much the found passages say about the question's words."""

    nearest: float  # cosine of the best passage
    lacking: float  # share of the question's words, by weight, that no passage has
    words: tuple[str, ...]  # those words

    @property
    def weak(self) -> bool:
        """Return whether looking again is worth it."""
        return self.lacking > LACKING

    def record(self) -> dict[str, Any]:
        """Return what the turn log keeps."""
        return {**asdict(self), "words": list(self.words), "weak": self.weak}


def evidence(question: str, found: Sequence[Passage]) -> Evidence:
    """Return how much of `question` the first passages cover."""
    asked = {word.stem: word for word in content(words(question))}
    first = found[:LOOKED_AT]
    there = {form for passage in first for form in stems(_told(passage))}
    weights = {
        form: NAMES_COUNT if word.is_number or (word.is_name and word.start) else 1.0
        for form, word in asked.items()
    }
    missing = [form for form in asked if form not in there]
    total = sum(weights.values())
    lacking = sum(weights[form] for form in missing) / total if total else 0.0
    return Evidence(
        round(_nearest(found), 4), round(lacking, 4), tuple(asked[form].text for form in missing)
    )


def expand(question: str, lacking: Sequence[str], found: Sequence[Passage]) -> tuple[str, str]:
    """Return the question in the words of what was found, and why; ("", "") when there is nothing.

    Words that no passage has are spelled as they are written there, acronyms among them are
    spelled out, and names are shortened to the acronym that stands there.
    """
    if len(question) > MAX_CHARACTERS:
        return "", ""  # who writes that much has said it in several words
    text, why = question, []
    told = " ".join(map(_told, found))
    written = list(dict.fromkeys(written_words(told)))
    for word in lacking:
        if long := _long_form(word, told):
            text = f"{text} {long}"
            why.append("acronym")
        elif known := _spelling(word, written):
            text = re.sub(rf"\b{re.escape(word)}\b", known, text)
            why.append("spelling")
    for name in phrases(question):
        short = "".join(word[0] for word in name.text.split() if word[0].isupper())
        lacks = len(short) > 1 and set(name.text.split()) & set(lacking)
        if lacks and re.search(rf"\b{re.escape(short)}\b", told):
            text = f"{text} {short}"
            why.append("acronym")
    return (text, "+".join(dict.fromkeys(why))) if why else ("", "")


def bridge(question: str, found: Sequence[Passage]) -> str:
    """Return the question with a described person or thing named, as a found passage names it.

    "Where was the founder of X born?" becomes "Where was NAME born?" when a passage about X names
    somebody the question does not; "" when there is no such description.
    """
    if len(question) > MAX_CHARACTERS:
        return ""
    for part in split(question) or [question]:
        match = _DESCRIBED.search(part)
        if match is None:
            continue
        before, after = part[: match.start()], part[match.end() :]
        # "Who was the founder of X?" asks for the name itself.
        asked = content_words(_NAMING.sub(" ", f"{before} {after}"))
        if asked and (name := _named(match.group(), part, found)):
            return f"{before}{name}{after}"
    return ""


def merged(lists: Sequence[Sequence[Passage]]) -> list[Passage]:
    """Return the passages of several queries in turn: the first of each, the second of each, …

    The query that came nearest to a passage begins: words spelled as they are written come nearer
    than misspelled ones, and a wrong guess at them does not. A passage found twice stands where
    it was found first.
    """
    order: dict[int, Passage] = {}
    nearest = sorted(lists, key=lambda found: -_nearest(found))
    for rank in range(max(map(len, lists), default=0)):
        for found in nearest:
            if rank < len(found):
                order.setdefault(found[rank]["chunk_id"], found[rank])
    return list(order.values())


def _nearest(found: Sequence[Passage]) -> float:
    return max((p["scores"].get("vector", 0.0) for p in found[:LOOKED_AT]), default=0.0)


def _told(passage: Passage) -> str:
    return f"{passage['title']} {passage['section']} {passage['text']}"


def _spelling(word: str, written: Sequence[str]) -> str:
    """Return how a word nobody wrote is written, "" when nothing is like it."""
    wanted = fold(word)
    if len(wanted) < SPELLED_LETTERS:
        return ""
    matcher = SequenceMatcher(None, "", wanted)
    best, most = "", 0.0
    for token in written:
        if token[0].lower() != wanted[0] or abs(len(token) - len(word)) > 2:
            continue
        candidate = fold(token)
        matcher.set_seq1(candidate)
        likeness = matcher.ratio() if matcher.quick_ratio() >= ALIKE else 0.0
        if likeness >= ALIKE and likeness > most and not _inflected(candidate, wanted):
            best, most = token, likeness
    return best


def _inflected(one: str, other: str) -> bool:
    """Return whether two words differ in their endings alone: import(ant), import(ance)."""
    if stem(one) == stem(other):
        return True
    same = next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    return same > 3 and {one[same:], other[same:]} <= _ENDINGS


def _long_form(short: str, told: str) -> str:
    """Return the words that an acronym stands for, "" when they are not there."""
    if not re.fullmatch(r"[A-Z]{2,6}", short):
        return ""
    # "Board of Inspection" may be BOI as well as BI.
    spelled = _BETWEEN.join(
        rf"[{letter}{letter.lower()}]\w*" if letter in "AFIO" else rf"{letter}\w+"
        for letter in short
    )
    match = re.search(rf"\b{spelled}", told)
    return match.group() if match else ""


def _named(description: str, question: str, found: Sequence[Passage]) -> str:
    """Return the name that a passage gives to what is described, "" when it gives none.

    It stands in the sentence that says most of the description, and not in the question.
    """
    wanted = [stem(word) for word in content_words(description)]
    said = set(content_words(question))
    best, most = "", len(wanted) / 2  # a sentence has to say more than half of it
    for passage in found[:LOOKED_AT]:
        title = words(passage["title"])
        for sentence in re.split(r"(?<=[.!?])\s+", passage["text"]):
            there = [word.stem for word in [*title, *words(sentence)]]
            score = sum(any(_related(one, other) for other in there) for one in wanted)
            if score <= most:
                continue
            known = said | set(content_words(passage["title"]))
            names = [
                p.text
                for p in phrases(sentence)
                if p.kind == "name"
                and p.text.replace(" ", "").isalpha()
                # The first word of a sentence may be no name at all.
                and (p.start or " " in p.text)
                and not set(content_words(p.text)) <= known
            ]
            if names:
                best, most = next((name for name in names if " " in name), names[0]), score
    return best


def _related(one: str, other: str) -> bool:
    """Return whether two stems are equal or share their beginning: found(er), found(ed)."""
    length = min(len(one), len(other))
    return one == other or (length > 3 and one[: max(4, length - 2)] == other[: max(4, length - 2)])
