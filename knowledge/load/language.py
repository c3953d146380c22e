"""The language of a text, by py3langid: only where it is sure, and there is enough to be sure."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

from knowledge.load.document import Document

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier  # type: ignore[import-untyped]  # has no stubs

MIN_BYTES = 100  # of letters in UTF-8: a sentence or two in Latin script, half as much in Chinese
MAX_CHARACTERS = 4000  # looked at, from up to so many parts
MAX_PARTS = 20
# Sentences of 70 letters in ten languages got .85 to 1, program code .2, tables .1 to .5.
MIN_CONFIDENCE = 0.9
ISO_639_1 = 2  # letters; longer codes name dialects, and what is no language


def language_of(document: Document) -> str | None:
    """Return the language of most of a document as ISO 639-1, or None when it is not certain."""
    prose = [part.text for part in document.parts if not part.records] or [
        part.text for part in document.parts
    ]
    share = MAX_CHARACTERS // min(len(prose), MAX_PARTS)
    sample = "\n".join(text[:share] for text in prose[:MAX_PARTS])
    if len("".join(filter(str.isalpha, sample)).encode()) < MIN_BYTES:
        return None
    language, confidence = _identifier().classify(sample)
    sure = confidence >= MIN_CONFIDENCE and len(language) == ISO_639_1
    return str(language) if sure else None


def among(text: str, languages: Collection[str]) -> str | None:
    """Return which of some languages a text is in, as ISO 639-1; None when it is not certain.

    Takes most of a second the first time: call it from a thread.
    """
    language, confidence = _identifier().classify(text[:MAX_CHARACTERS])
    return str(language) if confidence >= MIN_CONFIDENCE and language in languages else None


def confidence(text: str) -> float:
    """Return how much a text is like one in some language, in [0, 1]."""
    return float(_identifier().classify(text[:MAX_CHARACTERS])[1]) if text else 0.0


@cache  # it takes 0.7 s to load, and a process that reads no long text never needs it
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
