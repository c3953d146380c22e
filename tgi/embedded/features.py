"""What is measured on a sentence before it is believed to answer a question.

All numbers lie roughly in [-1, 3], so that the fitted weights can be read side by side.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.sentences import Kind, split
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question
from tgi.embedded.words import Word, words

Table = NDArray[np.float64]

LEXICAL = (
    "coverage",  # share of the question's words in the sentence, by idf among the candidates
    "neighbour_coverage",  # what the sentences beside it and the title add
    "source_coverage",  # the same for the whole source
    "pairs",  # words that follow each other in the question and are near each other here
    "names",  # coverage of names and numbers alone
    "source_names",
    "title_names",
    "rare",  # idf of the rarest word shared
    "expected",  # holds something of the kind asked for
    "missing",  # does not, though a kind is asked for
    "date",
    "number",
    "first_source",
    "rank",  # 1 / place of the source: retrieval put the best first
    "first_sentence",
    "second_sentence",
    "third_sentence",
    "length",
    "density",  # shared words close together
    "shared",
    "defines",  # early on it says "is a"
    "leans",  # it opens with a pronoun or an article
    "capitals",
)
DEFINED_WITHIN = 80  # characters
_DEFINES = re.compile(
    r"\b(?:is|was|are|were|refers to|means)\b(?: \w+){0,2} (?:a|an|the|any|one)\b"
)
_LEANS = re.compile(r"(?:He|She|It|They|This|These|His|Her|Its|Their|The)\b")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence, list item, table row or code block that might be the evidence."""

    source: int  # index into the sources, best first
    position: int  # index among the segments of its source
    start: int
    stop: int
    kind: Kind
    text: str  # cleaned white space, except in code
    words: tuple[Word, ...]
    stems: frozenset[str]


def candidates(sources: Sequence[Source]) -> list[Candidate]:
    """Return everything quotable in the sources, in reading order; headings are not."""
    found = []
    for index, source in enumerate(sources):
        for position, segment in enumerate(split(source.text)):
            raw = source.text[segment.start : segment.stop]
            text = raw if segment.kind == "code" else " ".join(raw.split())
            said = tuple(words(text))
            if segment.kind != "heading" and said:
                stems = frozenset(word.stem for word in said)
                found.append(Candidate(index, position, *segment, text, said, stems))
    return found


def lexical(question: Question, sources: Sequence[Source], found: Sequence[Candidate]) -> Table:
    """Return the LEXICAL features. Shape (candidates, features)."""
    idf = _rarity(question, found)
    surroundings = Surroundings(sources, found)
    total = math.fsum(idf.values()) or 1.0
    names_total = math.fsum(idf[name] for name in question.names) or 1.0
    table = np.zeros((len(found), len(LEXICAL)))
    for row, candidate in zip(table, found, strict=True):
        own, here = candidate.stems, candidate.source
        whole = surroundings.whole[here]
        where = {word.stem: at for at, word in enumerate(candidate.words)}
        hits = sorted(where[term] for term in question.unique if term in where)
        adjacent = sum(
            1
            for a, b in question.pairs
            if a in where and b in where and 0 < where[b] - where[a] < 4
        )
        present = question.answered_by(
            candidate.text, candidate.words, listed=candidate.kind in ("item", "code")
        )
        coverage = _mass(idf, question.unique, own) / total
        near = _mass(idf, question.unique, surroundings.near(candidate)) / total
        row[:] = (
            coverage,
            near - coverage,
            _mass(idf, question.unique, whole) / total,
            adjacent / (len(question.pairs) or 1),
            _mass(idf, question.names, own) / names_total,
            _mass(idf, question.names, whole) / names_total,
            _mass(idf, question.names, surroundings.titles[here]) / names_total,
            max((idf[term] for term in question.unique if term in own), default=0.0) / 4,
            present,
            bool(question.expects) and not present,
            question.expects == "date" and present,
            question.expects == "number" and present,
            here == 0,
            1 / (1 + here),
            candidate.position == 0,
            candidate.position == 1,
            candidate.position == 2,
            math.log1p(len(candidate.words)) / 4,
            len(hits) / math.sqrt(hits[-1] - hits[0] + 1) if hits else 0.0,
            math.log1p(len(hits)),
            _DEFINES.search(candidate.text, 0, DEFINED_WITHIN) is not None,
            _LEANS.match(candidate.text) is not None,
            sum(word.is_name for word in candidate.words[1:]) / 8,
        )
    return table


class Surroundings:
    """What stands beside, above and around the candidates."""

    def __init__(self, sources: Sequence[Source], found: Sequence[Candidate]) -> None:
        self.titles = [
            frozenset(word.stem for word in words(f"{source.title} {source.section}"))
            for source in sources
        ]
        self.whole = [set(title) for title in self.titles]
        self._stems: dict[tuple[int, int], frozenset[str]] = {}
        for candidate in found:
            self.whole[candidate.source] |= candidate.stems
            self._stems[candidate.source, candidate.position] = candidate.stems

    def near(self, candidate: Candidate) -> frozenset[str]:
        """Return the words of the candidate, of its neighbours and of its source's title."""
        here, place = candidate.source, candidate.position
        beside = (self._stems.get((here, place + step), ()) for step in (-1, 1))
        return candidate.stems.union(*beside, self.titles[here])


def _rarity(question: Question, found: Sequence[Candidate]) -> dict[str, float]:
    total = len(found)
    counts = Counter(
        term for candidate in found for term in question.unique if term in candidate.stems
    )
    return {
        term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5))
        for term in question.unique
    }


def _mass(
    idf: Mapping[str, float], terms: Iterable[str], stems: frozenset[str] | set[str]
) -> float:
    # fsum is exact: a plain sum in a set's order would depend on the process's hash seed.
    return math.fsum(idf[term] for term in terms if term in stems)
