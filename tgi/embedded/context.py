"""Reads sentences where they stand, and compares them with the question token by token.

A sentence alone loses what its neighbours and the title say: "He was born there in 1856".
Sources are cut into windows of whole sentences; the likeliest are embedded with their title in
front, and a sentence is the tokens that are its own. That costs little more than embedding eight
sentences alone, and ranks better (docs/decisions/0017).

Source: the sum of best cosines is MaxSim, from ColBERT, Khattab & Zaharia 2020.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embeddings.base import Embedder, Encoded
from embeddings.rarity import Rarity, unit
from tgi.embedded.features import Candidate, Table
from tgi.embedded.prompt import Source

WINDOW_TOKENS = 160  # of a window, without its title
READ_TOKENS = 3 * WINDOW_TOKENS  # embedded a question
TITLE_CHARACTERS = 200
REMEMBERED = 128  # windows; 120 KB each
RARE = 3.0  # a token that fewer than 5 of 100 passages have: what a question hangs on
NEAR = 0.5  # a cosine below this is no match

CONTEXT = (
    "cosine",  # of the question and the sentence, where it stands
    "cosine_gap",  # its distance from the best
    "met",  # how well the question's tokens are met, by rarity
    "met_gap",
    "met_near",  # ... by it, its neighbours and the title
    "met_source",  # ... by all that was read of the source
    "met_title",
    "met_evenly",  # ... every token alike
    "worst",  # how well the rare token is met that is met worst
    "worst_two",
    "worst_near",
    "worst_two_near",
    "unmet",  # share of the rare tokens that are not met
    "unmet_near",  # ... and number of them
    "echoed",  # how well the sentence's tokens are met by the question's
    "echoed_most",  # ... the best five
)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """A few sentences of one source under its title."""

    source: int
    text: str
    title: tuple[int, int]  # where the title lies in `text`
    rows: tuple[int, ...]  # which of the candidates
    spans: tuple[tuple[int, int], ...]  # where each of them lies in `text`
    tokens: int  # without the title


@dataclass(frozen=True, slots=True)
class Reading:
    """A window as the model sees it; what was too long for it is missing."""

    tokens: NDArray[np.float16]  # (tokens, dimensions)
    starts: NDArray[np.int32]  # (tokens,) where each begins in the text
    stops: NDArray[np.int32]

    def within(self, span: tuple[int, int]) -> slice:
        """Return the tokens of a stretch."""
        first = int(np.searchsorted(self.starts, span[0]))
        return slice(first, max(first, int(np.searchsorted(self.stops, span[1], side="right"))))


@dataclass(frozen=True, slots=True)
class Asked:
    """The question: its vector, and its tokens that say something."""

    vector: Floats
    tokens: Floats  # (tokens, dimensions), unit length
    weights: Floats  # (tokens,), summing to 1
    rare: NDArray[np.bool_]  # (tokens,)


class Readings:
    """An embedder that remembers the windows it read lately."""

    def __init__(self, embedder: Embedder, rarity: Rarity, *, remembered: int = REMEMBERED) -> None:
        self._embedder = embedder
        self._rarity = rarity
        self._remembered = remembered
        self._memory: OrderedDict[str, Reading] = OrderedDict()
        self._offsets: OrderedDict[str, list[tuple[int, int]]] = OrderedDict()

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return where each token of `text` lies; a source that was there lately costs nothing."""
        if text not in self._offsets:
            self._offsets[text] = self._embedder.offsets(text)
        self._offsets.move_to_end(text)
        while len(self._offsets) > self._remembered:
            self._offsets.popitem(last=False)
        return self._offsets[text]

    async def question(self, text: str) -> Asked:
        """Return a question, ready to be compared."""
        return asked(await self._embedder.encoded_query(text), self._rarity)

    async def windows(self, texts: Sequence[str]) -> list[Reading]:
        """Return windows as they are read, in their order."""
        known = {text: self._memory[text] for text in texts if text in self._memory}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        for text, encoded in zip(missing, await self._embedder.encoded(missing), strict=True):
            known[text] = _reading(encoded, self._embedder.offsets(text))
        for text, reading in known.items():
            self._memory[text] = reading
            self._memory.move_to_end(text)
        while len(self._memory) > self._remembered:
            self._memory.popitem(last=False)
        return [known[text] for text in texts]


def asked(question: Encoded, rarity: Rarity) -> Asked:
    """Return a question's tokens that say something, with their weights."""
    speaking = rarity.speaking(question)
    ids = question.ids[speaking]
    rare = rarity.of(ids) >= RARE
    weights = rarity.weights(ids)
    if not rare.any():
        rare = weights >= np.median(weights)
    return Asked(question.vector, unit(question.tokens[speaking]), weights, rare)


def cut(
    sources: Sequence[Source],
    found: Sequence[Candidate],
    offsets: Callable[[str], list[tuple[int, int]]],
) -> list[Window]:
    """Return all windows of the sources, in reading order; each candidate is in one of them."""
    windows = []
    of_source: dict[int, list[int]] = {}
    for row, candidate in enumerate(found):
        of_source.setdefault(candidate.source, []).append(row)
    for index, rows in of_source.items():
        source = sources[index]
        starts = [start for start, _ in offsets(source.text)]

        def length(of: Sequence[int], starts: Sequence[int] = starts) -> int:
            begins, stop = found[of[0]].start, found[of[-1]].stop
            return bisect_left(starts, stop) - bisect_left(starts, begins)

        first = 0
        for place in range(1, len(rows)):
            if length(rows[first : place + 1]) > WINDOW_TOKENS:
                part = rows[first:place]
                windows.append(_window(index, source, found, part, length(part)))
                first = place
        part = rows[first:]
        windows.append(_window(index, source, found, part, length(part)))
    return windows


def likeliest(windows: Sequence[Window], liking: Table) -> list[Window]:
    """Return the windows with the candidates liked best, in reading order.

    As many as fit into `READ_TOKENS`, and one in any case.
    """
    best = np.array([max(liking[row] for row in window.rows) for window in windows])
    chosen: list[int] = []
    left = READ_TOKENS
    for place in np.argsort(-best, kind="stable"):
        if not chosen or windows[place].tokens <= left:
            chosen.append(int(place))
            left -= windows[place].tokens
    return [windows[place] for place in sorted(chosen)]


def compare(
    question: Asked, windows: Sequence[Window], readings: Sequence[Reading]
) -> tuple[Table, Floats]:
    """Return the CONTEXT features of the windows' candidates, and their vectors.

    Shapes (candidates, features) and (candidates, dimensions), in the order of the windows.
    """
    vectors, best, titles, sources = [], [], [], []
    echoes: list[tuple[float, float]] = []
    for window, reading in zip(windows, readings, strict=True):
        tokens = unit(reading.tokens)
        cosines = question.tokens @ tokens.T
        nothing = np.zeros(len(question.tokens), np.float32)
        title = reading.within(window.title)
        title_met = (
            cosines[:, title].max(axis=1, initial=-1) if title.stop > title.start else nothing
        )
        for span in window.spans:
            own = reading.within(span)
            there = own.stop > own.start
            best.append(cosines[:, own].max(axis=1) if there else nothing)
            met = np.sort(cosines[:, own].max(axis=0)) if there else np.zeros(1)
            echoes.append((float(met.mean()), float(met[-5:].mean())))
            mean = reading.tokens[own].astype(np.float32).sum(axis=0)
            vectors.append(mean / max(float(np.linalg.norm(mean)), 1e-9))
            titles.append(title_met)
            sources.append(window.source)
    vector, own_met = np.stack(vectors), np.stack(best, axis=1)
    near, whole = _around(own_met, np.stack(titles, axis=1), sources)
    rare = question.rare
    worst, worst_near = np.sort(own_met[rare], axis=0), np.sort(near[rare], axis=0)
    cosine = vector @ question.vector
    met = question.weights @ own_met
    echoed = np.array(echoes)
    table = np.column_stack(
        [
            cosine,
            cosine.max() - cosine,
            met,
            met.max() - met,
            question.weights @ near,
            question.weights @ whole,
            question.weights @ np.stack(titles, axis=1),
            own_met.mean(axis=0),
            worst[0],
            worst[:2].mean(axis=0),
            worst_near[0],
            worst_near[:2].mean(axis=0),
            (own_met[rare] < NEAR).mean(axis=0),
            (near[rare] < NEAR).sum(axis=0),
            echoed[:, 0],
            echoed[:, 1],
        ]
    )
    return table.astype(np.float64), vector


def _around(own: Floats, titles: Floats, sources: Sequence[int]) -> tuple[Floats, Floats]:
    """Return how tokens are met by a sentence with its neighbours, and by its whole source."""
    near, whole = np.maximum(own, titles), np.maximum(own, titles)
    for place, source in enumerate(sources):
        for other in (place - 1, place + 1):
            if 0 <= other < len(sources) and sources[other] == source:
                near[:, place] = np.maximum(near[:, place], own[:, other])
    of = np.array(sources)
    for source in set(sources):
        whole[:, of == source] = whole[:, of == source].max(axis=1, keepdims=True)
    return near, whole


def _window(
    index: int, source: Source, found: Sequence[Candidate], rows: Sequence[int], tokens: int
) -> Window:
    begins, stop = found[rows[0]].start, found[rows[-1]].stop
    title = " ".join(f"{source.title} {source.section}".split())[:TITLE_CHARACTERS]
    ahead = len(title) + 1
    return Window(
        index,
        f"{title}\n{source.text[begins:stop]}",
        (0, len(title)),
        tuple(rows),
        tuple(
            (found[row].start - begins + ahead, found[row].stop - begins + ahead) for row in rows
        ),
        tokens,
    )


def _reading(encoded: Encoded, offsets: Sequence[tuple[int, int]]) -> Reading:
    tokens = encoded.tokens[1:-1]  # without [CLS] and [SEP]
    places = np.array(offsets[: len(tokens)], np.int32).reshape(-1, 2)
    return Reading(tokens, places[:, 0].copy(), places[:, 1].copy())
