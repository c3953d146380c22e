"""Which of the found passages enter the prompt, in which order, and why."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.turn import Passage
from knowledge.assemble import assemble, by_novelty, by_recency, edges, total
from knowledge.merge import chunk_ids, overlap, parts, pinpoint


def count(text: str) -> int:
    return len(text.split())


def passage(number: int, text: str, **changed: Any) -> Passage:
    """Return a passage of a document of its own, better the lower its number."""
    found: dict[str, Any] = {
        "chunk_id": number,
        "document_id": f"d{number}",
        "uri": f"{number}.md",
        "title": "T",
        "section": "",
        "page": None,
        "ordinal": 0,
        "text": text,
        "tokens": count(text),
        "score": 1 / number,
        "scores": {"vector": 1 / number},
    }
    return cast(Passage, found | changed)


def take(found: list[Passage], limit: int = 5, budget: int = 1000, **how: Any) -> Any:
    return assemble(found, count=count, limit=limit, budget_tokens=budget, **how)


def reasons(made: Any) -> list[tuple[int, str, int | None]]:
    return [(change.chunk_id, change.reason, change.by) for change in made.changes]


TEXTS = ["alpha beta gamma delta", "one two three four", "red green blue black", "a b c d"]


def test_the_best_come_first_within_the_limit() -> None:
    """Relevance keeps the order of the search and says what found no place."""
    made = take([passage(n, text) for n, text in enumerate(TEXTS, 1)], limit=3)
    assert [p["chunk_id"] for p in made.passages] == [1, 2, 3]
    assert reasons(made) == [(4, "limit", None)]
    assert take([]).passages == []


def test_neighbours_become_one_passage() -> None:
    """What both hold stands once, the better one gives its id, and no place is lost."""
    whole = "The river rises in the Alps. It flows past Basel. It ends in the sea."
    second = passage(1, whole[29:], document_id="d", ordinal=4, page=7)
    first = passage(3, whole[:49], document_id="d", ordinal=3, page=6)
    made = take([second, passage(2, "Another thing."), first], limit=3)
    joined = made.passages[0]
    assert joined["text"] == whole
    assert (joined["chunk_id"], joined["tokens"]) == (1, count(whole))
    assert chunk_ids(joined) == {1, 3}
    assert reasons(made) == [(3, "neighbour", 1)]
    assert made.record()["passages"] == [[1, 3], [2]]
    assert [whole[part["start"] : part["end"]] for part in parts(joined)] == [
        first["text"],
        second["text"],
    ]


def test_a_citation_finds_the_chunk_of_its_sentence() -> None:
    """A merged passage still tells chunk and page of what is quoted from it."""
    a = passage(1, "Apples are red and sweet.", document_id="d", ordinal=1, page=1)
    b = passage(2, "Plums are blue and sour.", document_id="d", ordinal=2, page=2)
    (joined,) = take([a, b]).passages
    found = pinpoint(joined, "Plums are sour [1].")
    assert (found["chunk_id"], found["page"], found["text"]) == (2, 2, b["text"])
    assert pinpoint(joined, "Apples are sweet.")["page"] == 1
    assert pinpoint(joined, "")["chunk_id"] == 1
    assert pinpoint(a, "anything") is a


def test_a_gap_that_closes_makes_one_of_three() -> None:
    """Chunks 1 and 3 are found before 2, which belongs between them."""
    found = [
        passage(n, f"text number {ordinal}", document_id="d", ordinal=ordinal)
        for n, ordinal in enumerate((1, 3, 2), 1)
    ]
    (joined,) = take(found).passages
    assert joined["text"] == "text number 1\ntext number 2\ntext number 3"
    assert joined["chunk_id"] == 1


def test_other_headings_and_documents_stay_apart() -> None:
    """Neighbours are chunks of one document under one heading."""
    a = passage(1, "first", document_id="d", ordinal=1, section="A")
    b = passage(2, "second", document_id="d", ordinal=2, section="B")
    c = passage(3, "third", document_id="e", ordinal=2, section="A")
    assert len(take([a, b, c]).passages) == 3
    assert len(take([a, {**b, "section": "A"}], merge=False).passages) == 2


def test_merging_costs_nobody_a_place() -> None:
    """All that is there without merging is there with it."""
    found = [
        passage(n, f"text {n} of all", document_id="d", ordinal=n % 4) for n in range(1, 5)
    ] + [passage(n, f"word{n} other text") for n in range(5, 9)]
    apart = {i for p in take(found, limit=4, merge=False).passages for i in chunk_ids(p)}
    merged = {i for p in take(found, limit=4).passages for i in chunk_ids(p)}
    assert apart < merged


def test_copies_take_no_place() -> None:
    """The same words in another file are dropped, and it is said for what."""
    text = "Water boils at 100 degrees at sea level, and lower in the mountains."
    made = take([passage(1, text), passage(2, text.upper()), passage(3, TEXTS[0])], limit=2)
    assert [p["chunk_id"] for p in made.passages] == [1, 3]
    assert reasons(made) == [(2, "duplicate", 1)]


@pytest.mark.parametrize(
    ("old", "new"),
    [("100 degrees", "90 degrees"), ("boils", "never boils"), ("lower", "lower than in 2019")],
)
def test_a_contradiction_is_no_copy(old: str, new: str) -> None:
    """Another number or a "not" makes another passage, however alike the rest is."""
    text = "Water boils at 100 degrees at sea level, and lower in the mountains. " * 3
    assert len(take([passage(1, text), passage(2, text.replace(old, new, 1))]).passages) == 2


def test_another_edition_is_no_copy() -> None:
    """The same words under another year may both be needed."""
    text = "The fee is due in March and paid by transfer."
    found = [passage(1, text, title="Rules 2023"), passage(2, text, title="Rules 2024")]
    assert len(take(found).passages) == 2


def test_the_budget_holds() -> None:
    """What does not fit is left out, and what is smaller may still come."""
    big = " ".join(f"w{n}" for n in range(100))
    made = take([passage(1, TEXTS[0]), passage(2, big), passage(3, TEXTS[1])], budget=60)
    assert [p["chunk_id"] for p in made.passages] == [1, 3]
    assert reasons(made) == [(2, "budget", None)]
    assert made.tokens == total(made.passages, count) <= 60


def test_the_best_passage_is_cut_rather_than_lost() -> None:
    """Alone above the budget, it ends at a word."""
    made = take([passage(1, " ".join(f"w{n}" for n in range(100)))], budget=60)
    assert made.passages[0]["text"].split()[-1] == f"w{made.passages[0]['tokens'] - 1}"
    assert made.tokens <= 60
    assert reasons(made) == [(1, "cut", None)]


def test_diversity_prefers_what_is_new() -> None:
    """Something else comes before the same in other words; by vectors, or else by words."""
    found = [
        passage(1, "the cat sat on a mat", score=1.0),
        passage(2, "a cat sat on the mat", score=0.95),
        passage(3, "rivers flow to the sea", score=0.9),
        passage(4, "nothing of this at all", score=0.1),
    ]
    assert [p["chunk_id"] for p in by_novelty(found)] == [1, 3, 2, 4]
    made = take(found, limit=2, strategy="diversity")
    assert [p["chunk_id"] for p in made.passages] == [1, 3]
    same = {n: np.eye(3, dtype=np.float32)[max(0, n - 2)] for n in (1, 2, 3, 4)}
    assert [p["chunk_id"] for p in by_novelty(found, same)] == [1, 3, 2, 4]
    assert by_novelty([]) == []


def test_recency_prefers_what_is_newer_among_the_good() -> None:
    """Of two alike, the newer first; what has no date counts as old; without dates, no change."""
    found = [
        passage(1, "a", score=1.0, modified_at="2020-01-01"),
        passage(2, "b", score=0.95, modified_at="2026-05-01T10:00:00+02:00"),
        passage(3, "c", score=0.94),
        passage(4, "d", score=0.1, modified_at="2026-05-02"),
    ]
    assert [p["chunk_id"] for p in by_recency(found)] == [2, 1, 3, 4]
    undated = [passage(n, "x", modified_at="some day") for n in (1, 2)]
    assert by_recency(undated) == undated


def test_edges_put_the_worst_in_the_middle() -> None:
    """Best first, second best last."""
    found = [passage(n, text) for n, text in enumerate(TEXTS, 1)]
    assert [p["chunk_id"] for p in edges(found)] == [1, 3, 4, 2]
    assert [p["chunk_id"] for p in take(found, order="edges").passages] == [1, 3, 4, 2]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), unique=True), st.integers(1, 6))
def test_every_chunk_is_accounted_for(places: list[tuple[int, int]], limit: int) -> None:
    """Whatever was found is in a passage or has a reason, once; limit and budget hold."""
    found = [
        passage(n, f"chunk {n} " + "word " * (n % 7), document_id=f"d{d}", ordinal=ordinal)
        for n, (d, ordinal) in enumerate(places, 1)
    ]
    made = take(found, limit=limit, budget=60)
    inside = [i for p in made.passages for i in chunk_ids(p)]
    dropped = [c.chunk_id for c in made.changes if c.reason in ("limit", "budget", "duplicate")]
    assert sorted([*inside, *dropped]) == [p["chunk_id"] for p in found]
    assert len(made.passages) <= limit
    assert made.tokens <= 60
    for p in made.passages:
        ordinals = [part["ordinal"] for part in parts(p)]
        assert ordinals == list(range(ordinals[0], ordinals[0] + len(ordinals)))


@given(st.text("ab .", max_size=40), st.text("ab .", max_size=40))
def test_overlap_is_the_longest_common_border(first: str, second: str) -> None:
    """It is a suffix of the one and a prefix of the other, and no longer one is."""
    length = overlap(first, second)
    assert first.endswith(second[:length])
    longer = range(max(length + 1, 12), min(len(first), len(second)) + 1)
    assert not any(first.endswith(second[:n]) for n in longer)
