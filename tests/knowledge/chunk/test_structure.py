"""Chunks hold whole paragraphs, and end where a reader would pause."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.minilm import MiniLM
from knowledge.chunk.structure import spans
from tests.knowledge.chunk.texts import SENTENCE, TEXTS, texts


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


async def test_a_short_text_is_one_chunk(embedder: MiniLM) -> None:
    """What fits is not cut."""
    assert await texts(embedder, SENTENCE * 3, 100) == [(SENTENCE * 3).strip()]


async def test_paragraphs_are_preferred_to_sentences(embedder: MiniLM) -> None:
    """A cut falls between two paragraphs when one is near."""
    first, second = SENTENCE * 4, SENTENCE * 5
    found = await texts(embedder, f"{first.strip()}\n\n{second}", 80)
    assert found == [first.strip(), second.strip()]


async def test_sentences_stay_whole(embedder: MiniLM) -> None:
    """Without paragraphs every chunk ends with a sentence, and begins with one."""
    found = await texts(embedder, SENTENCE * 40, 60, 15)
    assert all(chunk.startswith("The") and chunk.endswith("bells.") for chunk in found)


async def test_abbreviations_end_no_sentence(embedder: MiniLM) -> None:
    """No cut after `Dr.` or an initial."""
    text = "In the very long year it was Dr. Smith and J. Doe who said so to us all. " * 10
    assert all(chunk.endswith("all.") for chunk in await texts(embedder, text, 32))


async def test_list_items_stay_whole(embedder: MiniLM) -> None:
    """A chunk of a list begins with an item."""
    found = await texts(embedder, "- the bells of the town hall ring at noon\n" * 20, 40)
    assert len(found) > 1
    assert all(chunk.startswith("- the") and chunk.endswith("noon") for chunk in found)


async def test_code_that_fits_is_kept_together(embedder: MiniLM) -> None:
    """A cut moves before a code block that would be torn, and nothing overlaps into it."""
    code = "```python\n" + "\n\n".join(f"value_{n} = {n}" for n in range(8)) + "\n```"
    found = await texts(embedder, f"{SENTENCE * 6}\n\n{code}\n\n{SENTENCE * 3}", 100, 20)
    assert [chunk for chunk in found if "```" in chunk and chunk.count("```") != 2] == []
    assert any(chunk.startswith(code) for chunk in found)


async def test_the_next_chunk_repeats_whole_sentences(embedder: MiniLM) -> None:
    """The overlap is what the chunk before ended with."""
    text = "".join(f"Sentence number {n} is about bell {n}. " for n in range(30))
    first, second, *_ = await texts(embedder, text, 60, 15)
    shared = second[: second.index(".") + 1]
    assert first.endswith(shared)
    assert shared.startswith("Sentence")


async def test_no_last_chunk_is_a_scrap(embedder: MiniLM) -> None:
    """What is a little more than one chunk becomes two halves."""
    first, second = await texts(embedder, SENTENCE * 8, 80)
    assert abs(len(first) - len(second)) <= len(SENTENCE)


async def test_one_endless_word_is_cut(embedder: MiniLM) -> None:
    """A megabyte that a tokenizer calls one token does not become one chunk."""
    assert max(len(chunk) for chunk in await texts(embedder, "A" * 100_000, 200)) <= 4000
