"""What is measured on a sentence before it is believed to answer a question.

All numbers lie roughly in [-1, 3], so that the fitted weights can be read side by side.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question, denies
from tgi.embedded.sentences import Kind, split
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
    "length",
    "density",  # shared words close together
    "shared",
)
RANKING = (*LEXICAL, "cosine", "cosine_gap")
# What speaks for an answer (+1), what against one (-1), what only sets the scene (0).
SIGNS = {
    "coverage": 1,
    "around_coverage": 1,  # with its neighbours and the title
    "source_coverage": 1,
    "highest_coverage": 1,
    "pairs": 1,
    "names": 1,
    "source_names": 1,
    "title_names": 1,
    "rare": 1,
    "expected": 1,
    "missing": -1,
    "rank": 1,
    "cosine": 1,
    "highest_cosine": 1,
    "score": 1,
    "lead": 1,  # of the best sentence over the next
    "source_lead": 1,  # of the best source over the next
    "shared": 1,
    "words_missing": -1,  # of the question, in the sentence
    "words_missing_near": -1,  # ... and its neighbours
    "words_missing_source": -1,  # ... and its whole source
    "share_missing": -1,  # ... in all sources
    "names_missing_near": -1,
    "names_missing_source": -1,
    "numbers_missing_near": -1,
    "negation": -1,  # the question denies something
    "negation_alone": -1,  # ... and the sentence does not
    "asks_name": 0,
    "asks_number": 0,
}
SUPPORT = tuple(SIGNS)


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
    surroundings = _Surroundings(sources, found)
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
            math.log1p(len(candidate.words)) / 4,
            len(hits) / math.sqrt(hits[-1] - hits[0] + 1) if hits else 0.0,
            math.log1p(len(hits)),
        )
    return table


def ranking(table: Table, cosines: NDArray[np.float32]) -> Table:
    """Return the RANKING features: LEXICAL, the cosine, and its distance from the best."""
    measured = cosines.astype(np.float64)
    return np.column_stack([table, measured, measured.max() - measured])


def support(
    question: Question,
    sources: Sequence[Source],
    found: Sequence[Candidate],
    ranked: Sequence[Candidate],
    rows: Table,
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the SUPPORT features of the whole finding. Shape (features,).

    ranked, rows, scores: the embedded candidates, best first, with RANKING features and score.
    """
    best, row = ranked[0], rows[0]
    surroundings = _Surroundings(sources, found)
    near, whole = surroundings.near(best), surroundings.whole[best.source]
    everything: set[str] = set().union(*surroundings.whole)
    rivals = [
        score
        for candidate, score in zip(ranked, scores, strict=True)
        if candidate.source != best.source
    ]
    of_best = dict(zip(RANKING, row, strict=True))
    terms, names = question.unique, question.names - question.numbers
    return np.array(
        [
            of_best["coverage"],
            of_best["coverage"] + of_best["neighbour_coverage"],
            of_best["source_coverage"],
            rows[:, RANKING.index("coverage")].max(),
            *(of_best[name] for name in ("pairs", "names", "source_names", "title_names", "rare")),
            of_best["expected"],
            of_best["missing"],
            of_best["rank"],
            of_best["cosine"],
            rows[:, RANKING.index("cosine")].max(),
            scores[0],
            min(scores[0] - scores[1], 5.0) if len(scores) > 1 else 5.0,
            min(scores[0] - max(rivals), 8.0) if rivals else 8.0,
            of_best["shared"],
            _missing(terms, best.stems),
            _missing(terms, near),
            _missing(terms, whole),
            _missing(terms, everything) / (len(terms) or 1),
            _missing(names, near),
            _missing(names, whole),
            _missing(question.numbers, near),
            question.negates,
            question.negates and not denies(best.text),
            bool(names),
            bool(question.numbers),
        ],
        dtype=np.float64,
    )


class _Surroundings:
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


def _missing(terms: Iterable[str], stems: frozenset[str] | set[str]) -> int:
    return sum(term not in stems for term in terms)
