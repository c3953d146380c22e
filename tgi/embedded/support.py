"""What is measured on the best sentence, and beside it, before it is believed to be an answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tgi.embedded.context import CONTEXT
from tgi.embedded.features import LEXICAL, Candidate, Surroundings, Table
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question, denies

# "meaning" is a cosine in which the directions weigh what they are worth; see parameters.py.
RANKING = (*LEXICAL, *CONTEXT, "meaning")

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
    "asks_kind": 0,
    "terms": 0,
    "share": 1,  # log of the best sentence's share of the belief
    "met": 1,
    "met_near": 1,
    "met_source": 1,
    "met_title": 1,
    "met_evenly": 1,
    "worst": 1,
    "worst_two": 1,
    "worst_near": 1,
    "worst_two_near": 1,
    "unmet": -1,
    "unmet_near": -1,
    "echoed": 1,
    "echoed_most": 1,
    "highest_met": 1,
    "highest_met_near": 1,
    "highest_worst": 1,
    "highest_worst_near": 1,
}
SUPPORT = tuple(SIGNS)
_OF_BEST = (
    "met",
    "met_near",
    "met_source",
    "met_title",
    "met_evenly",
    "worst",
    "worst_two",
    "worst_near",
    "worst_two_near",
    "unmet",
    "unmet_near",
    "echoed",
    "echoed_most",
)
_HIGHEST = ("met", "met_near", "worst", "worst_near")


def support(
    question: Question,
    sources: Sequence[Source],
    found: Sequence[Candidate],
    ranked: Sequence[Candidate],
    rows: Table,
    scores: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the SUPPORT features of the whole finding. Shape (features,).

    ranked, rows, scores: candidates that were read, best first, with RANKING features and score.
    """
    best, row = ranked[0], rows[0]
    surroundings = Surroundings(sources, found)
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
            bool(question.expects),
            len(terms) / 10,
            scores[0] - scores.max() - math.log(np.exp(scores - scores.max()).sum()),
            *(of_best[name] for name in _OF_BEST),
            *(rows[:, RANKING.index(name)].max() for name in _HIGHEST),
        ],
        dtype=np.float64,
    )


def _missing(terms: Iterable[str], stems: frozenset[str] | set[str]) -> int:
    return sum(term not in stems for term in terms)
