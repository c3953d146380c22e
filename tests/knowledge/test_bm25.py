from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.bm25 import FRESH, Best, Corpus, Ranking, Segment
from knowledge.postings import Runs, pack, pack_ids, pack_lengths, unpack

VOCABULARY = ["apple", "fig", "pear", "plum", "quince"]
TEXT = st.lists(st.sampled_from(VOCABULARY), max_size=12)


def plain_bm25(corpus: dict[int, Sequence[str]], query: Sequence[str]) -> dict[int, float]:
    """Return chunk -> score by the textbook, one chunk at a time."""
    average = sum(map(len, corpus.values())) / len(corpus)
    scores: dict[int, float] = {}
    for number, chunk in corpus.items():
        counts = Counter(chunk)
        for word in set(query) & set(chunk):
            n = sum(word in other for other in corpus.values())
            idf = math.log(1 + (len(corpus) - n + 0.5) / (n + 0.5))
            norm = 1.2 * (1 - 0.75 + 0.75 * len(chunk) / average)
            score = idf * counts[word] / (counts[word] + norm)
            scores[number] = scores.get(number, 0) + score
    return scores


def build(segments: Sequence[dict[int, list[str]]], query: Sequence[str], gone: set[int]) -> Corpus:
    """Return what a question reads of an index; the first of `segments` is the fresh part."""
    fresh, *packed = segments
    corpus = Corpus(len(fresh), sum(map(len, fresh.values())))
    words = sorted(set(query))
    for word, lexeme in enumerate(words):
        rows = [(i, t.count(lexeme), len(t)) for i, t in fresh.items() if lexeme in t]
        if rows:
            corpus.fresh[word] = np.array(rows, FRESH)
    for name, texts in enumerate(packed):
        if not texts:
            continue
        ids = sorted(texts)
        lengths = pack_lengths(np.array([len(texts[i]) for i in ids]))
        postings = [
            (VOCABULARY.index(lexeme), number, texts[i].count(lexeme))
            for number, i in enumerate(ids)
            for lexeme in set(texts[i])
        ]
        codes, numbers, counts = zip(*postings, strict=True) if postings else ((), (), ())
        segment = Segment(
            len(ids),
            len(ids),
            int(lengths.sum()),
            Runs.unpack(pack_ids(np.array(ids)), len(ids)),
            lengths,
            None,
        )
        for row in pack(
            VOCABULARY,
            np.array(codes, np.int32),
            np.array(numbers, np.uint16),
            np.array(counts, np.uint8),
            lengths,
        ):
            if row.lexeme in words:
                found = unpack(row.packed, row.chunks, dense=row.dense)
                segment.lists.append((words.index(row.lexeme), found))
        segment.bury(np.array(sorted(gone), np.int64))
        corpus.segments[name] = segment
    return corpus


def pairs(best: Best) -> list[tuple[int, float]]:
    """Return (chunk_id, score) in order."""
    return list(zip(best.ids.tolist(), best.scores.tolist(), strict=True))


@given(
    chunks=st.dictionaries(
        st.integers(1, 200), st.tuples(TEXT, st.integers(0, 3), st.booleans()), min_size=1
    ),
    query=st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=5),
    limit=st.integers(1, 5),
)
def test_scores_are_those_of_the_textbook(
    chunks: dict[int, tuple[list[str], int, bool]], query: list[str], limit: int
) -> None:
    """However chunks lie in segments, and whatever dead ones lie between them."""
    parts: list[dict[int, list[str]]] = [{}, {}, {}, {}]
    gone = {i for i, (_, part, dead) in chunks.items() if dead and part}
    for i, (text, part, _) in chunks.items():
        parts[part][i] = text
    living: dict[int, Sequence[str]] = {
        i: text for i, (text, _, _) in chunks.items() if i not in gone
    }
    expected = plain_bm25(living, query) if living else {}
    ranking = Ranking(build(parts, query, gone))
    hits = pairs(ranking.best(1000))
    assert dict(hits) == pytest.approx(expected)
    assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))
    assert pairs(ranking.best(limit)) == hits[:limit]
    # To the last bit what an index gives that was built at once, all fresh or in one segment.
    apart = [{i: list(text) for i, text in living.items()}, {}]
    assert pairs(Ranking(build(apart, query, set())).best(1000)) == hits
    assert pairs(Ranking(build(apart[::-1], query, set())).best(1000)) == hits


@given(
    ids=st.sets(st.integers(1, 300), min_size=1, max_size=60),
    kept=st.sets(st.integers(1, 300)),
)
def test_keep(ids: set[int], kept: set[int]) -> None:
    """What is not kept is forgotten; the scores of the rest stay."""
    parts = [{i: ["apple"] * (i % 7 + 1) for i in ids if i % 3 == part} for part in range(3)]
    ranking = Ranking(build(parts, ["apple"], set()))
    before = pairs(ranking.best(100))
    ranking.keep(np.array(sorted(kept), np.int64))
    assert pairs(ranking.best(100)) == [hit for hit in before if hit[0] in kept]


@given(st.sets(st.integers(0, 1 << 40), min_size=1, max_size=50), st.sets(st.integers(0, 99)))
def test_runs(ids: set[int], others: set[int]) -> None:
    """Ids survive packing; numbers are found for those inside and for no others."""
    ids |= {i + 1 for i in ids}  # neighbours too
    ordered = np.array(sorted(ids), np.int64)
    runs = Runs.unpack(pack_ids(ordered), len(ids))
    assert runs.ids(np.arange(len(ids))).tolist() == ordered.tolist()
    assert runs.numbers(ordered).tolist() == list(range(len(ids)))
    asked = np.array(sorted(others), np.int64)
    assert runs.ids(runs.numbers(asked)).tolist() == sorted(others & ids)


def test_long_chunks() -> None:
    """A chunk of more than 65 535 lexemes keeps its length, in a segment of wider ones."""
    lengths = pack_lengths(np.array([5, 70_000, 3, 2, 1, 1, 1, 1, 1]))
    (row,) = pack(
        ["x"],
        np.zeros(2, np.int32),
        np.array([0, 1], np.uint16),
        np.array([1, 255], np.uint8),
        lengths,
    )
    numbers, counts, found = unpack(row.packed, row.chunks, dense=row.dense)
    assert numbers is not None
    assert found is not None
    assert numbers.tolist() == [0, 1]
    assert counts.tolist() == [1, 255]
    assert found.tolist() == [5, 70_000]
