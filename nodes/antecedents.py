"""What a follow-up stands for: the names and nouns of the last questions and answers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.phrases import (
    ASKING,
    PREPOSITIONS,
    Phrase,
    chain,
    content_words,
    listed,
    phrases,
    tokens,
)

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]

_PLACES = {
    "first": 0, "1st": 0, "former": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2,
    "fourth": 3, "4th": 3, "fifth": 4, "5th": 4, "last": -1, "final": -1, "latter": -1,
}  # fmt: skip
_LIST_LINE = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+(.+)$", re.MULTILINE)
_SEPARATOR = re.compile(r"(?: [a-z]\w+)?\s*(?:,|,? ?\b(?:and|or)\b|&)\s*(?:the |an? )?(?:\w+ )?")
_TITLES = listed(
    """king queen prince princess duke duchess emperor pope president general marshal captain
    admiral colonel sir lady lord dr doctor professor mr mrs ms saint count baron"""
)


class Exchange(NamedTuple):
    """A question and what was answered, "" when nothing was."""

    question: str
    answer: str


def antecedent(asked: Sequence[Exchange], *, person: bool, noun: str = "") -> str:
    """Return what a pronoun stands for: what the last questions were about, or their answer."""
    for exchange in reversed(asked):
        question, answer = phrases(exchange.question), phrases(exchange.answer)
        words = set(content_words(exchange.question))
        fresh = [
            p for p in answer
            if p.kind in {"name", "quoted"} and not set(content_words(p.text)) <= words
        ]  # fmt: skip
        named = [p for p in question if p.kind in {"name", "quoted"}]
        first = next((t.plain for t in tokens(exchange.question) if t.plain in ASKING), "")
        if first in {"who", "whom", "whose"} and fresh and person:
            return max(fresh, key=lambda p: _humanity(p.text, exchange)).text
        if not person and fresh and _asks_which(exchange.question, first):
            return fresh[0].text
        if named:
            chosen = named[0] if person else _bound(question, named)
            return chosen.text if person else chain(exchange.question, question, chosen)
        if person and fresh:
            return fresh[0].text
        nouns = [p for p in question if p.kind == "noun"]
        if nouns and not person:
            chosen = next((p for p in nouns if noun and noun in p.text), nouns[-1])
            return chain(exchange.question, question, chosen)
    return ""


def _asks_which(question: str, first: str) -> bool:
    """Return whether a question asks for one of several things, so that its answer names it."""
    return first == "which" or bool(
        re.search(r"\b(?:what|into which|in which) \w+ (?:is|are|was|does|do|did|has|have|can)\b|"
                  r"\bwhat (?:is|are|was) the (?:name|largest|biggest|best|first|capital|most)\b",
                  question, re.IGNORECASE)
    )  # fmt: skip


def _bound(question: Sequence[Phrase], named: Sequence[Phrase]) -> Phrase:
    """Return the first name, or the noun it is bound to: "the siege of Karsk"."""
    place = question.index(named[0])
    before = question[place - 1] if place else None
    if before is not None and before.kind == "noun" and named[0].start - before.end == len(" of "):
        return before
    return named[0]


def _humanity(name: str, exchange: Exchange) -> int:
    """Return how much a name looks like a person's; the first of equals is taken."""
    words = tokens(name)
    said = {t.text for t in tokens(f"{exchange.question} {exchange.answer}")}
    titled = any(word.plain in _TITLES for word in words)
    common = any(
        word.plain in said and word.plain not in _TITLES for word in words if len(word.text) > 3
    )
    return 2 * titled + (len(words) > 1 and " of " not in name) - 2 * common


def item_of(match: re.Match[str], asked: Sequence[Exchange]) -> str:
    """Return the member of the last list that an ordinal stands for, "" when there is no list."""
    for exchange in reversed(asked):
        for source in (exchange.answer, exchange.question):
            items = listing(source)
            if len(items) < 2:
                continue
            if match["other"]:
                said = exchange.question.casefold()
                others = [item for item in items if item.casefold() not in said]
                return others[0] if len(others) < len(items) else ""
            place = _PLACES[(match["nth"] or match["pair"]).casefold()]
            return items[place] if place < len(items) else ""
    return ""


def listing(text: str) -> list[str]:
    """Return the members of the list in `text`: lines, or "A, B and C"."""
    if len(lines := _LIST_LINE.findall(text)) > 1:
        return [re.split(r"\s[–:-]\s|: |\. ", line)[0].strip(" .") for line in lines]
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        names = [p for p in phrases(sentence) if p.kind != "number"]
        best: list[Phrase] = []
        run: list[Phrase] = []
        for phrase in names:
            gap = sentence[run[-1].end : phrase.start].casefold() if run else ""
            alike = run and (run[-1].kind == "name") == (phrase.kind == "name")
            if (alike or re.search(r"\b(?:and|or)\b", gap)) and _SEPARATOR.fullmatch(gap):
                run.append(phrase)
            else:
                run = [phrase]
            best = run if len(run) > len(best) else best
        if len(best) > 1:
            return [f"{phrase.text}{_shared_noun(sentence, best)}" for phrase in best]
        people = [p for p in names if p.kind == "name"]
        if len(people) == 2 and "," in sentence[people[0].end : people[1].start]:
            return [phrase.text for phrase in people]
    return []


def _shared_noun(sentence: str, items: Sequence[Phrase]) -> str:
    """Return the word behind each name of a list: "Day loan, Month loan and Study loan"."""
    behind = [re.match(r" [a-z]\w+", sentence[item.end :]) for item in items]
    words = {match.group() if match else "" for match in behind}
    return words.pop() if len(words) == 1 else ""


async def replaced(question: str, wanted: str, embed: Embed, denied: str = "") -> str:
    """Return `question` with the phrase that `wanted` stands in for exchanged.

    It is the one denied, one of the same words or of the same kind, or the nearest in meaning.
    """
    wanted = re.sub(r"^(?:(?:and|or|but|for|about|to)\s+)+", "", wanted, flags=re.IGNORECASE)
    found = phrases(question)
    if not found:
        return f"{question} {wanted}"
    bare = re.sub(
        rf"^(?:(?:{'|'.join(sorted(PREPOSITIONS))}|the|an?|one)\s+)+", "", wanted, flags=re.I
    )
    named = phrases(f"the {bare}")
    kind = named[0].kind if named else "noun"
    words = set(content_words(wanted))
    if denied:
        scores = [len(set(content_words(denied)) & set(content_words(p.text))) for p in found]
        if max(scores):
            return _exchange(question, found[scores.index(max(scores))], bare)
    if re.match(r"(?:the )?ones?\b", wanted, re.IGNORECASE):
        return f"{question} {wanted}"
    shared = [len(words & set(content_words(p.text))) for p in found]
    if max(shared):
        return _exchange(question, found[shared.index(max(shared))], bare)
    vectors = await embed([bare, *(phrase.text for phrase in found)])
    near = vectors[1:] @ vectors[0]
    near = near + np.array([0.1 if p.kind == kind else 0.0 for p in found], np.float32)
    same = _same_preposition(question, wanted, found)
    near = near + np.array([0.3 if p in same else 0.0 for p in found], np.float32)
    asked_of = re.compile(
        r"\b(?:is|are|was|were|does|do|did|has|have|can|will)(?: the| a| an| my)? $"
    )
    subject = [bool(asked_of.search(question[: p.start].casefold())) for p in found]
    near = near + np.array([0.1 if s else 0.0 for s in subject], np.float32)
    return _exchange(question, found[int(near.argmax())], bare)


def _exchange(question: str, phrase: Phrase, wanted: str) -> str:
    return f"{question[: phrase.start]}{wanted}{question[phrase.end :]}"


def _same_preposition(question: str, wanted: str, found: Sequence[Phrase]) -> list[Phrase]:
    """Return the phrases that stand behind the preposition that `wanted` begins with."""
    first = wanted.split()[0].casefold() if wanted else ""
    if first not in PREPOSITIONS:
        return []
    return [
        phrase
        for phrase in found
        if first in [t.plain for t in tokens(question[: phrase.start])[-2:]]
    ]
