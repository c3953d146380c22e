"""What a linear model sees of a text: its vector, marks (signals and cues), words and pairs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embeddings.base import Vector
from safety.classifiers import cues
from safety.normalise import skeleton
from safety.signals import SIGNALS, Signal

# How much each part counts before the model learns: chosen by cross-validation on the fitted
# half of the data, where two or three times as much or as little changed next to nothing.
VECTOR, TERMS, MARKS = 3.0, 1.0, 0.5

_SPACELESS = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

Floats = NDArray[np.float32]


class Seen(NamedTuple):
    """A text as a model sees it, without its vector."""

    marks: Floats  # (marks,)
    terms: frozenset[str]
    signals: tuple[Signal, ...] = ()  # that were found, over the whole of the text

    @property
    def weight(self) -> int:
        """Return how strong the signals are together."""
        return sum(signal.weight for signal in self.signals)


MARK_NAMES: tuple[str, ...] = (*(signal.name for signal in SIGNALS), *cues.NAMES)


@lru_cache(maxsize=4)  # the models of a user's text look at the same one after each other
def look(text: str) -> Seen:
    """Return what is seen of `text`: signals anywhere, cues and words as far as `cues.shown`."""
    whole = skeleton(text)
    found = tuple(signal for signal in SIGNALS if signal.pattern.search(whole))
    part = cues.shown(whole)
    words = cues.WORD.findall(part)[: cues.MOST_WORDS]
    names = {signal.name for signal in found}
    marks = [1.0 if signal.name in names else 0.0 for signal in SIGNALS]
    return Seen(np.array(marks + cues.cues(part, words), np.float32), terms(words), found)


def terms(words: Sequence[str]) -> frozenset[str]:
    """Return words and neighbouring pairs, of scripts without spaces pairs of letters."""
    found: set[str] = set()
    before = "^"
    for word in words:
        word = "0" if word.isdigit() else word
        if len(word) > 2 and _SPACELESS.search(word):
            found.update(a + b for a, b in pairwise(word))
        else:
            found.add(word)
            found.add(f"{before} {word}")
        before = word
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The terms that a model has weights for."""

    places: Mapping[str, int]

    def known(self, some: frozenset[str]) -> tuple[list[int], float]:
        """Return where the known terms of a text stand, in order, and what each of them counts."""
        found = sorted(self.places[term] for term in some if term in self.places)
        return found, TERMS / math.sqrt(len(found)) if found else 0.0


def dense(vector: Vector, marks: Floats) -> Floats:
    """Return vector and marks as one scaled row."""
    return np.concatenate([vector * VECTOR, marks * MARKS]).astype(np.float32)
