"""Sources are read in windows, and their sentences compared with a question token by token."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings.minilm import MiniLM
from embeddings.rarity import Rarity
from tgi.embedded.context import (
    CONTEXT,
    READ_TOKENS,
    WINDOW_TOKENS,
    Readings,
    compare,
    cut,
    likeliest,
)
from tgi.embedded.features import candidates
from tgi.embedded.prompt import Source

SENTENCES = [f"Sentence {n} says that the boat number {n} left the harbour." for n in range(60)]
LONG = Source(1, "Boats", "Harbour", " ".join(SENTENCES))
SHORT = Source(2, "Marie Curie", "", "She was born in Warsaw. Her father taught physics.")


@pytest.fixture
def readings(embedder: MiniLM) -> Readings:
    """Nothing read yet."""
    return Readings(embedder, Rarity.load())


def test_each_sentence_is_in_one_window(embedder: MiniLM) -> None:
    """None is lost or cut, whatever the length of the source, and its title stands ahead."""
    found = candidates([LONG, SHORT])
    windows = cut([LONG, SHORT], found, embedder.offsets)
    assert [row for window in windows for row in window.rows] == list(range(len(found)))
    for window in windows:
        for row, (start, stop) in zip(window.rows, window.spans, strict=True):
            assert " ".join(window.text[start:stop].split()) == found[row].text
        title = window.text[slice(*window.title)]
        assert title == ("Marie Curie" if window.source else "Boats Harbour")
        assert embedder.count_tokens(window.text) <= WINDOW_TOKENS + 10


def test_the_windows_liked_best_are_read(embedder: MiniLM) -> None:
    """As many as the model reads at once, in reading order: small ones are not in the way."""
    found = candidates([LONG, SHORT])
    windows = cut([LONG, SHORT], found, embedder.offsets)
    liking = np.zeros(len(found))
    liking[[2, 30, len(found) - 1]] = 1.0
    chosen = likeliest(windows, liking)
    assert READ_TOKENS - WINDOW_TOKENS < sum(window.tokens for window in chosen) <= READ_TOKENS
    assert len(chosen) < len(windows)
    assert {2, 30, len(found) - 1} <= {row for window in chosen for row in window.rows}
    assert [window.rows for window in chosen] == sorted(window.rows for window in chosen)


async def test_a_sentence_is_read_under_its_title(readings: Readings) -> None:
    """Who "she" is stands in the title, and the tokens asked for are met there."""
    found = candidates([SHORT])
    windows = cut([SHORT], found, readings.offsets)
    read = await readings.windows([window.text for window in windows])
    asked = await readings.question("Where was Marie Curie born?")
    table, vectors = compare(asked, windows, read)
    assert table.shape == (2, len(CONTEXT))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    of = {name: table[:, place] for place, name in enumerate(CONTEXT)}
    assert of["met"][0] > of["met"][1]
    assert np.all(of["met_near"] > of["met"])
    assert of["met_gap"].tolist() == [0.0, of["met"][0] - of["met"][1]]


async def test_what_was_read_is_remembered(readings: Readings) -> None:
    """The same window in the next turn is the same object: it costs nothing."""
    first = (await readings.windows(["Boats\nA boat left."]))[0]
    assert (await readings.windows(["Boats\nA boat left."]))[0] is first


async def test_what_is_too_long_for_the_model_is_no_match(readings: Readings) -> None:
    """A code block longer than the model reads leaves sentences without tokens; none fails."""
    code = "\n".join(f"    value_{n} = compute_something({n})" for n in range(120))
    source = Source(1, "", "", f"{code}\n\nThe end is near.")
    found = candidates([source])
    windows = cut([source], found, readings.offsets)
    read = await readings.windows([window.text for window in windows])
    table, _ = compare(await readings.question("Is the end near?"), windows, read)
    assert np.isfinite(table).all()
