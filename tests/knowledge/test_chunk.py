"""Chunks fit the model, miss nothing, and end where a reader would pause."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.minilm import MiniLM
from knowledge.chunk import chunks, shorten, spans
from knowledge.load.document import Document, Part, has_text
from knowledge.store import Chunk, searchable

# What makes cutting hard: words without end, code, other scripts, invisible characters.
PIECES = st.sampled_from(
    [
        *(
            "word ",
            "The quick fox. ",
            "Brown! ",
            "Dr. Smith ",
            "1,234.5 ",
            "a\tb ",
            "-",
            "?",
            "...",
        ),
        *("\n", "\n\n", " ", "- item\n", "| a | b |\n", "```\ncode  x\n\ny\n```\n", "```\n", "~~~"),
        *(
            "x" * 130,
            "aB9_" * 40,
            "é",
            "漢字。",
            "Привет. ",
            "\u200b",
            "\u0301",
            "\ufffd",
            "😀",
            "ﷺ",
        ),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=300).map("".join), st.text(max_size=500))
SENTENCE = "The tower of the old town hall has nine bells. "


def document(*parts: Part, title: str = "") -> Document:
    """A document of these parts."""
    return Document(title, "text/plain", parts, 1)


def cut(embedder: MiniLM, text: str, max_tokens: int, overlap_tokens: int = 0) -> list[str]:
    """Return the chunks of a text without a title."""
    _, found = chunks(
        document(Part(text)), embedder, chunk_tokens=max_tokens, overlap_tokens=overlap_tokens
    )
    return [chunk.text for chunk in found]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXTS, max_tokens=st.integers(16, 100), share=st.floats(0, 0.25))
def test_spans_cover_the_text_and_fit(
    embedder: MiniLM, text: str, max_tokens: int, share: float
) -> None:
    """Every character is in a chunk, chunks are in order, none has too many tokens."""
    covered = 0
    for start, stop in spans(
        text, embedder, max_tokens=max_tokens, overlap_tokens=int(max_tokens * share)
    ):
        assert start <= covered < stop or not text
        assert embedder.count_tokens(text[start:stop]) <= max_tokens
        covered = stop
    assert covered == len(text)


@settings(max_examples=50, deadline=None)
@given(
    title=st.text(max_size=400),
    parts=st.lists(st.tuples(TEXTS, st.text(max_size=400)), max_size=4),
    chunk_tokens=st.integers(32, 254),
)
def test_what_is_embedded_fits_with_title_and_section(
    embedder: MiniLM, title: str, parts: list[tuple[str, str]], chunk_tokens: int
) -> None:
    """The text that gets a vector, headings included, is never cut by the model."""
    made = document(*(Part(text, section) for text, section in parts), title=title)
    short, found = chunks(made, embedder, chunk_tokens=chunk_tokens, overlap_tokens=30)
    for ordinal, chunk in enumerate(found):
        assert chunk.ordinal == ordinal
        assert chunk.tokens == embedder.count_tokens(chunk.text)
        assert embedder.count_tokens(searchable(short, chunk)) <= chunk_tokens


@settings(max_examples=50, deadline=None)
@given(text=TEXTS)
def test_only_blank_characters_are_left_out(embedder: MiniLM, text: str) -> None:
    """Without overlap the chunks, put together, are the text but for what nobody sees."""
    together = "".join(cut(embedder, text, 50))
    assert list(filter(has_text, together)) == list(filter(has_text, text))


def test_a_short_text_is_one_chunk(embedder: MiniLM) -> None:
    """What fits is not cut."""
    assert cut(embedder, SENTENCE * 3, 100) == [(SENTENCE * 3).strip()]


def test_no_chunk_crosses_a_heading_or_a_page(embedder: MiniLM) -> None:
    """Each part begins a chunk of its own, which knows its section and page."""
    made = document(Part("One.", "A", 1), Part("Two.", "A", 2), Part("Three.", "B", 2))
    _, found = chunks(made, embedder, chunk_tokens=200, overlap_tokens=30)
    assert found == [
        Chunk("One.", "A", 1, 0, 2),
        Chunk("Two.", "A", 2, 1, 2),
        Chunk("Three.", "B", 2, 2, 2),
    ]


def test_paragraphs_are_preferred_to_sentences(embedder: MiniLM) -> None:
    """A cut falls between two paragraphs when one is near."""
    first, second = SENTENCE * 4, SENTENCE * 5
    found = cut(embedder, f"{first.strip()}\n\n{second}", 80)
    assert found == [first.strip(), second.strip()]


def test_sentences_stay_whole(embedder: MiniLM) -> None:
    """Without paragraphs every chunk ends with a sentence, and begins with one."""
    found = cut(embedder, SENTENCE * 40, 60, overlap_tokens=15)
    assert all(chunk.startswith("The") and chunk.endswith("bells.") for chunk in found)


def test_abbreviations_end_no_sentence(embedder: MiniLM) -> None:
    """No cut after `Dr.` or an initial."""
    text = "In the very long year it was Dr. Smith and J. Doe who said so to us all. " * 10
    assert all(chunk.endswith("all.") for chunk in cut(embedder, text, 32))


def test_list_items_stay_whole(embedder: MiniLM) -> None:
    """A chunk of a list begins with an item."""
    found = cut(embedder, "- the bells of the town hall ring at noon\n" * 20, 40)
    assert len(found) > 1
    assert all(chunk.startswith("- the") and chunk.endswith("noon") for chunk in found)


def test_code_that_fits_is_kept_together(embedder: MiniLM) -> None:
    """A cut moves before a code block that would be torn, and nothing overlaps into it."""
    code = "```python\n" + "\n\n".join(f"value_{n} = {n}" for n in range(8)) + "\n```"
    found = cut(embedder, f"{SENTENCE * 6}\n\n{code}\n\n{SENTENCE * 3}", 100, overlap_tokens=20)
    assert [chunk for chunk in found if "```" in chunk and chunk.count("```") != 2] == []
    assert any(chunk.startswith(code) for chunk in found)


def test_the_next_chunk_repeats_whole_sentences(embedder: MiniLM) -> None:
    """The overlap is what the chunk before ended with."""
    text = "".join(f"Sentence number {n} is about bell {n}. " for n in range(30))
    first, second, *_ = cut(embedder, text, 60, overlap_tokens=15)
    shared = second[: second.index(".") + 1]
    assert first.endswith(shared)
    assert shared.startswith("Sentence")


def test_records_are_not_repeated(embedder: MiniLM) -> None:
    """A row of a table is in one chunk only, and whole."""
    rows = [f"name: Person {n}; city: Town {n}" for n in range(30)]
    made = document(Part("\n\n".join(rows), records=True))
    _, found = chunks(made, embedder, chunk_tokens=60, overlap_tokens=15)
    assert [row for chunk in found for row in chunk.text.split("\n\n")] == rows


def test_no_last_chunk_is_a_scrap(embedder: MiniLM) -> None:
    """What is a little more than one chunk becomes two halves."""
    first, second = cut(embedder, SENTENCE * 8, 80)
    assert abs(len(first) - len(second)) <= len(SENTENCE)


def test_one_endless_word_is_cut(embedder: MiniLM) -> None:
    """A megabyte that a tokenizer calls one token does not become one chunk."""
    assert max(len(chunk) for chunk in cut(embedder, "A" * 100_000, 200)) <= 4000


def test_long_names_are_shortened(embedder: MiniLM) -> None:
    """A title loses its end, a section path its beginning: what is nearest to the text stays."""
    path = " > ".join(f"Chapter {n}" for n in range(30))
    title = shorten(path, 10, embedder)
    section = shorten(path, 10, embedder, keep_end=True)
    assert title.startswith("Chapter 0")
    assert section.endswith("Chapter 29")
    assert max(map(embedder.count_tokens, (title, section))) <= 10
