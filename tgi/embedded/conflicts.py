"""Tells when two sources state different values for what is asked, and only then.

Two sentences conflict when both speak of all that the question names, say the same in nearly the
same words, and differ in just the kind of thing asked for: a number, a date or a name.
What explains the difference (another year, another unit, "about", one value among several)
makes them two statements that may both be true. Precision counts more than recall: a false alarm
costs trust in every answer (docs/decisions/0017 has how often either happens).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from tgi.embedded.features import Candidate
from tgi.embedded.prompt import Source
from tgi.embedded.quantities import Date, Number, dates, numbers, same
from tgi.embedded.questions import Question
from tgi.embedded.words import Word, content, words

LOOKED_AT = 8  # of the best sentences
COVERED = 0.5  # share of the question's words that both must speak of
SAME_FRAME = 0.6  # share of words in common, values aside, of the sentence with more of them
SAME_FRAME_NAMES = 0.7  # "in Oslo" and "in Norway, in a former mill" do not contradict
SAME_ORDER = 0.7  # for names: share of both sentences that is equal, word by word
ROUNDED = 0.1  # a relative difference that rounding explains

_HEDGED = re.compile(
    r"\b(?:about|around|approximately|roughly|nearly|almost|circa|ca|some|over|under|more|less"
    r"|fewer|least|most|up to|between|estimated|early|late|mid"
    r"|(?:until|before|after|since|by)(?= \d| (?-i:[A-Z])))\b|[~≈<>]",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"\b(?:formerly|previously|originally|initially|now|currently|today|later|once|used to"
    r"|first|second|third|last|next|new|old|other|another|also|each|every|except|instead)\b",
    re.IGNORECASE,
)
_WHERE = re.compile(r"\bwhere\b", re.IGNORECASE)  # Oslo is in Norway: both may be true
_YEAR = re.compile(r"\b(?:1[0-9]{3}|20[0-9]{2})\b")


class _Said(NamedTuple):
    """A sentence, taken apart."""

    frame: frozenset[str]  # its words without values
    order: list[str]  # all its words, a value as one blank
    years: frozenset[str]
    numbers: tuple[Number, ...]
    dates: tuple[Date, ...]
    names: tuple[frozenset[str], ...]  # runs of capitalised words that the question lacks


def conflicting(
    question: Question, sources: Sequence[Source], ranked: Sequence[Candidate]
) -> Candidate | None:
    """Return the sentence of another source that contradicts the best one; None without such.

    ranked: candidates, best first.
    """
    if question.expects not in ("number", "date", "name") or question.negates or not ranked:
        return None
    if question.expects == "name" and _WHERE.search(question.text):
        return None
    best = ranked[0]
    about = _about(question, sources[best.source], best)
    if not about:
        return None
    told = _taken_apart(question, best)
    for other in ranked[1:LOOKED_AT]:
        if other.source == best.source or about != _about(question, sources[other.source], other):
            continue
        if _differ(question, told, _taken_apart(question, other), best.text, other.text):
            return other
    return None


def _about(question: Question, source: Source, candidate: Candidate) -> frozenset[str]:
    """Return which words of the question a sentence speaks of, under its title.

    None when a name is missing, or too much: what is asked for need not be said, such as
    "population" in "has 400 inhabitants", but two sentences have to leave out the same.
    """
    title = {word.stem for word in words(f"{source.title} {source.section}")}
    known = frozenset(question.unique) & (candidate.stems | title)
    enough = len(known) >= max(2, COVERED * len(question.unique))
    return known if enough and question.names <= known else frozenset()


def _differ(question: Question, one: _Said, two: _Said, first: str, second: str) -> bool:
    """Return whether two sentences about the same thing give different values for it."""
    more = max(len(one.frame), len(two.frame))
    enough = SAME_FRAME_NAMES if question.expects == "name" else SAME_FRAME
    if not more or len(one.frame & two.frame) < enough * more:
        return False
    if bool(_CHANGED.search(first)) != bool(_CHANGED.search(second)):
        return False
    match question.expects:
        case "number":
            return one.years == two.years and _numbers_differ(one, two, first, second)
        case "date":
            return _dates_differ(one, two, first, second)
        case _:
            return one.years == two.years and one.numbers == two.numbers and _names_differ(one, two)


def _numbers_differ(one: _Said, two: _Said, first: str, second: str) -> bool:
    shared = {number.values for number in one.numbers} & {number.values for number in two.numbers}
    left = [n for n in one.numbers if n.values not in shared]
    right = [n for n in two.numbers if n.values not in shared]
    if len(left) != 1 or len(right) != 1:
        return False
    mine, its = left[0], right[0]
    if mine.unit != its.unit or one.names != two.names:
        return False
    hedged = _HEDGED.search(first) or _HEDGED.search(second)
    near = ROUNDED if hedged else 1e-9
    return not any(
        same(a, b) or abs(a - b) <= near * max(abs(a), abs(b))
        for a in mine.values
        for b in its.values
    )


def _dates_differ(one: _Said, two: _Said, first: str, second: str) -> bool:
    if _HEDGED.search(first) or _HEDGED.search(second) or one.names != two.names:
        return False
    if len(one.dates) == len(two.dates) == 1:
        pairs = zip(one.dates[0][1:], two.dates[0][1:], strict=True)
        return any(mine and its and mine != its for mine, its in pairs)
    if one.dates or two.dates:
        return False
    return len(one.years) == len(two.years) == 1 and one.years != two.years


def _names_differ(one: _Said, two: _Said) -> bool:
    if len(one.names) != 1 or len(two.names) != 1:
        return False
    mine, its = one.names[0], two.names[0]
    if any(a.startswith(b[:4]) for a in mine for b in its):
        return False  # a name and a part or a form of it
    alike = SequenceMatcher(None, one.order, two.order, autojunk=False).ratio()
    return alike >= SAME_ORDER


def _taken_apart(question: Question, candidate: Candidate) -> _Said:
    text = candidate.text
    found_dates = tuple(dates(text))
    rest = text
    for date in found_dates:
        rest = rest.replace(date.text, " " * len(date.text), 1)
    years = frozenset(_YEAR.findall(rest)) - question.numbers
    # A year is no number, one of the question is not the answer to it.
    counted = tuple(
        number
        for number in numbers(_YEAR.sub("    ", rest))
        if any(character.isdigit() for character in number.text) or number.values - {1.0}
        if not any(word.stem in question.numbers for word in words(number.text))
    )
    runs = _runs(question, candidate)
    named = frozenset[str]().union(*runs) if runs else frozenset[str]()
    spelled = {
        word.stem
        for number in counted
        for word in words(number.text)
        if word.is_number or any(numbers(word.text))
    }
    spelled |= {word.stem for date in found_dates for word in words(date.text)}
    values = named | spelled | years | {word.stem for word in candidate.words if word.is_number}
    return _Said(
        frozenset(word.stem for word in content(candidate.words)) - values,
        ["" if word.stem in values else word.stem for word in candidate.words],
        years | {str(date.year) for date in found_dates if date.year},
        counted,
        found_dates,
        runs,
    )


def _runs(question: Question, candidate: Candidate) -> tuple[frozenset[str], ...]:
    """Return the names that the question does not hold, each as the stems of its words."""
    runs: list[list[Word]] = []
    before: Word | None = None
    dated = {word.stem for date in dates(candidate.text) for word in words(date.text)}
    for word in candidate.words:
        new = word.stem not in dated and word.stem not in question.unique
        if word.is_name and new and content([word]):
            follows = before is not None and word.start <= before.start + len(before.text) + 2
            if follows and runs and runs[-1][-1] is before:
                runs[-1].append(word)
            else:
                runs.append([word])
        before = word
    return tuple(frozenset(word.stem for word in run) for run in runs)
