"""Any document becomes chunks that miss nothing, fit the model, and keep tables whole."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.minilm import MiniLM
from knowledge.chunk.cut import Size, Strategy, cut, shorten
from knowledge.load.document import Part, has_text
from knowledge.store import Chunk, searchable
from tests.knowledge.chunk.texts import SENTENCE, TEXTS, document, pieces

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

CELL = st.text("abcdef 123.", min_size=1, max_size=12).map(str.strip).filter(bool)
ROWS = st.lists(st.lists(CELL, min_size=2, max_size=4), min_size=1, max_size=12)
PLAIN_TABLES = ROWS.map(lambda rows: "\n\n".join(" | ".join(row) for row in rows))
NAMED_TABLES = ROWS.map(
    lambda rows: "\n\n".join("; ".join(f"c{n}: {cell}" for n, cell in enumerate(r)) for r in rows)
)
SECTIONS = st.sampled_from(["", "A", "A > B", "Ünïcode > " + "long " * 60])
PAGES = st.sampled_from([None, 1, 2])
PARTS = st.one_of(
    st.builds(Part, TEXTS, SECTIONS, PAGES),
    st.builds(Part, TEXTS, SECTIONS, PAGES, records=st.just(True)),
    st.builds(Part, PLAIN_TABLES | NAMED_TABLES, SECTIONS, PAGES, table=st.just(True)),
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    title=st.text(max_size=400),
    parts=st.lists(PARTS, max_size=5),
    tokens=st.integers(32, 300),
    overlap=st.integers(0, 40),
    strategy=st.sampled_from(STRATEGIES),
)
async def test_any_document_is_covered_in_order_and_fits(
    embedder: MiniLM, title: str, parts: list[Part], tokens: int, overlap: int, strategy: Strategy
) -> None:
    """Chunks hold all the text in order, fit with title and section, and repeat only sentences.

    What is repeated is the end of the chunk before, or the first row of a table that was cut.
    """
    made = document(*parts, title=title)
    short, found = await cut(made, embedder, Size(tokens, overlap, strategy))
    text = _seen("".join(part.text for part in parts))
    headers = {_seen(part.text.partition("\n\n")[0]) for part in parts if part.table}
    covered = 0
    for ordinal, chunk in enumerate(found):
        assert chunk.ordinal == ordinal
        assert chunk.tokens == embedder.count_tokens(chunk.text)
        assert embedder.count_tokens(searchable(short, chunk)) <= tokens
        own = _seen(chunk.text)
        starts = [own, *(own.removeprefix(header) for header in headers)]
        again = len(own) if overlap and strategy != "semantic" else 0
        reach = max(_reach(text, covered, start, again) for start in starts)
        assert reach > covered
        covered = reach
    assert covered == len(text)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    before=TEXTS,
    table=PLAIN_TABLES | NAMED_TABLES,
    after=TEXTS,
    tokens=st.integers(100, 300),
    strategy=st.sampled_from(STRATEGIES),
)
async def test_a_table_that_fits_is_in_one_chunk(
    embedder: MiniLM, before: str, table: str, after: str, tokens: int, strategy: Strategy
) -> None:
    """Whatever stands around it and however chunks are cut."""
    parts = Part(before), Part(table, table=True), Part(after)
    found = await pieces(embedder, *parts, tokens=tokens, overlap=20, strategy=strategy)
    if embedder.count_tokens(table) <= tokens:
        assert any(table in chunk.text for chunk in found)


async def test_a_small_table_stays_with_its_introduction(embedder: MiniLM) -> None:
    """What announces a table is found with it."""
    parts = Part("These are the prices.", "A"), Part("a: 1; b: 2\n\na: 3; b: 4", "A", table=True)
    (chunk,) = await pieces(embedder, *parts, tokens=100)
    assert chunk.text == "These are the prices.\n\na: 1; b: 2\n\na: 3; b: 4"


async def test_a_large_table_repeats_its_first_row(embedder: MiniLM) -> None:
    """Rows stay whole, and each chunk says what its columns are."""
    header = "Town | Inhabitants | River"
    rows = [f"Town {n} | {n * 1000} | River {n}" for n in range(40)]
    table = Part("\n\n".join([header, *rows]), table=True)
    found = await pieces(embedder, table, tokens=80, overlap=20)
    assert len(found) > 3
    assert all(chunk.text.startswith(header + "\n\n") for chunk in found)
    inside = [row for chunk in found for row in chunk.text.split("\n\n")[1:]]
    assert inside == rows


async def test_rows_that_name_their_columns_need_no_first_row(embedder: MiniLM) -> None:
    """Nothing is repeated then: a row is in one chunk only, and whole."""
    rows = [f"name: Person {n}; city: Town {n}" for n in range(30)]
    for part in (
        Part("\n\n".join(rows), records=True),
        Part("\n\n".join(rows), table=True),
    ):
        found = await pieces(embedder, part, tokens=60, overlap=15)
        assert [row for chunk in found for row in chunk.text.split("\n\n")] == rows


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_no_chunk_crosses_a_heading_or_a_page(embedder: MiniLM, strategy: Strategy) -> None:
    """Each section and page begins a chunk of its own, which knows them."""
    parts = Part("One.", "A", 1), Part("Two.", "A", 2), Part("Three.", "B", 2)
    found = await pieces(embedder, *parts, tokens=200, overlap=30, strategy=strategy)
    assert found == [
        Chunk("One.", "A", 1, 0, 2),
        Chunk("Two.", "A", 2, 1, 2),
        Chunk("Three.", "B", 2, 2, 2),
    ]


async def test_sentences_fill_a_chunk_across_paragraphs(embedder: MiniLM) -> None:
    """The sentence strategy packs as many as fit, and repeats whole ones."""
    text = "\n\n".join(f"Sentence number {n} is about bell {n}." for n in range(30))
    found = await pieces(embedder, Part(text), tokens=60, overlap=10, strategy="sentence")
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith(".") for chunk in found)
    assert all(chunk.tokens > 45 for chunk in found[:-1])
    for one, next_one in pairwise(found):
        assert one.text.endswith(next_one.text.split("\n\n")[0])


async def test_a_chunk_ends_where_the_subject_changes(embedder: MiniLM) -> None:
    """The semantic strategy cuts between two subjects, without any mark in the text."""
    cats = [
        "Cats sleep most of the day.",
        "A cat sleeps in the sun.",
        "Kittens drink milk from their mother cat.",
        "A cat catches mice in the house.",
    ]
    taxes = [
        "Income tax is due in April.",
        "The tax office sends a tax bill.",
        "Companies pay tax on their profit.",
        "Who pays tax late pays interest on the tax.",
    ]
    text = " ".join([*cats, *taxes])
    found = await pieces(embedder, Part(text), tokens=55, strategy="semantic")
    assert [chunk.text for chunk in found] == [" ".join(cats), " ".join(taxes)]


def test_long_names_are_shortened(embedder: MiniLM) -> None:
    """A title loses its end, a section path its beginning: what is nearest to the text stays."""
    path = " > ".join(f"Chapter {n}" for n in range(30))
    title = shorten(path, 10, embedder)
    section = shorten(path, 10, embedder, keep_end=True)
    assert title.startswith("Chapter 0")
    assert section.endswith("Chapter 29")
    assert max(map(embedder.count_tokens, (title, section))) <= 10


async def test_a_long_text_of_one_sentence_a_line_is_cut_by_every_strategy(
    embedder: MiniLM,
) -> None:
    """Longer than what is tokenized at a time, without paragraphs."""
    text = SENTENCE * 1500
    for strategy in ("structure", "sentence"):
        found = await pieces(embedder, Part(text), tokens=200, strategy=strategy)
        assert sum(chunk.tokens for chunk in found) == embedder.count_tokens(text)


def _seen(text: str) -> str:
    """Return a text without what nobody sees: chunks leave it out at their ends."""
    return "".join(filter(has_text, text))


def _reach(text: str, covered: int, own: str, again: int) -> int:
    """Return up to where `text` is covered by a chunk, which may repeat what came before."""
    for start in range(covered, max(0, covered - again) - 1, -1):
        if text.startswith(own, start):
            return start + len(own)
    return covered
