"""The language of a document is said only where it is certain."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowledge.load.document import Document, Part
from knowledge.load.formats import read
from knowledge.load.language import language_of

TEXTS = {
    "en": "The parties agree that this contract shall be governed by the laws of England and that "
    "any dispute shall be settled before the courts of London. Notices are given in writing.",
    "de": "Die Parteien vereinbaren, dass dieser Vertrag dem deutschen Recht unterliegt und dass "
    "alle Streitigkeiten vor den Gerichten in Berlin entschieden werden, soweit zulässig.",
    "fr": "Les parties conviennent que le présent contrat est régi par le droit français et que "
    "tout litige sera porté devant les tribunaux de Paris, sauf disposition contraire.",
    "ja": "当事者は、本契約が日本法に準拠し、すべての紛争を東京地方裁判所において解決する"
    "ことに合意する。通知は書面によって行われ、到達した時に効力を生ずるものとする。",
}


def document(text: str) -> Document:
    """Return a document of one part."""
    return Document("x", "text/plain", (Part(text),), len(text))


@pytest.mark.parametrize("language", TEXTS)
def test_two_sentences_tell_the_language(language: str) -> None:
    """It is named as ISO 639-1 does."""
    assert language_of(document(TEXTS[language])) == language


@pytest.mark.parametrize(
    "text",
    ["Hello world.", "12 34 56 " * 100, "def f(x):\n    return g(x, y=[1, 2])\n" * 10],
)
def test_what_is_short_or_no_language_has_none(text: str) -> None:
    """A guess would be worse than nothing."""
    assert language_of(document(text)) is None


def test_what_the_document_says_counts() -> None:
    """Nobody is corrected."""
    page = f"<html lang=de-CH><p>{TEXTS['en']}</p></html>"
    assert read(Path("a.html"), page.encode()).language == "de-CH"
    assert read(Path("a.txt"), TEXTS["en"].encode()).language == "en"
