"""The classifier learns labels from a few examples, quickly, and knows what is foreign."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.classifier import RIDGE, Classifier, Words, regress

RNG = np.random.default_rng(0)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    scaled: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled.astype(np.float32)


def clusters(labels: int, each: int, spread: float) -> tuple[list[str], NDArray[np.float32]]:
    """Return the labels and vectors of examples around random centres."""
    centres = RNG.normal(size=(labels, 384))
    points = np.repeat(centres, each, axis=0) + spread * RNG.normal(size=(labels * each, 384))
    return [f"label {place // each}" for place in range(labels * each)], unit(points)


def test_it_learns_what_the_vectors_say() -> None:
    """Texts without common words are told apart by their meaning."""
    names, vectors = clusters(8, 6, 0.8)
    texts = [f"text{n}" for n in range(len(names))]
    classifier = Classifier.fit(texts[::2], names[::2], vectors[::2])
    guesses = [classifier.guess("unseen", vector).label for vector in vectors[1::2]]
    assert guesses == names[1::2]


def test_it_learns_what_the_words_say() -> None:
    """Texts of one meaning are told apart by their words."""
    _, vectors = clusters(1, 14, 0.5)
    texts = [f"please {'cancel' if n % 2 else 'confirm'} order {n}" for n in range(12)]
    labels = ["cancel" if n % 2 else "confirm" for n in range(12)]
    classifier = Classifier.fit(texts, labels, vectors[:12])
    for vector in vectors[12:]:
        assert classifier.guess("please cancel", vector).label == "cancel"
        assert classifier.guess("please confirm", vector).label == "confirm"


def test_a_foreign_text_is_less_in_scope_than_every_example() -> None:
    """Likeness to the examples falls with the distance from all of them."""
    names, vectors = clusters(8, 6, 0.8)
    texts = [f"text{n}" for n in range(len(names))]
    classifier = Classifier.fit(texts, names, vectors)
    own = [classifier.guess(text, v).scope for text, v in zip(texts, vectors, strict=True)]
    _, foreign = clusters(8, 1, 0.0)
    assert max(classifier.guess("", vector).scope for vector in foreign) < min(own)


def test_the_weights_are_where_the_loss_is_least() -> None:
    """The steps end near the minimum: the gradient there is a small part of that at the start."""
    names, vectors = clusters(8, 6, 0.8)
    kernel = np.exp(2 * (vectors @ vectors.T - 1)).astype(np.float32)
    targets = (np.array(names)[:, None] == np.unique(names)).astype(np.float32)
    weights = regress(kernel, targets)

    def gradient(weights: NDArray[np.float32]) -> float:
        scores = kernel @ weights
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        return float(np.linalg.norm(shares - targets + RIDGE * weights))

    assert gradient(weights) < 0.02 * gradient(np.zeros_like(weights))


def test_words_are_compared_by_cosine() -> None:
    """Equal texts have likeness 1, texts without a common word 0, and order of words counts."""
    words = Words(["to be or not", "not or be to", "something else"])
    assert words.likeness("to be or not") == pytest.approx([1, 0.45, 0], abs=0.15)
    assert words.likeness("unknown") == pytest.approx([0, 0, 0])
    assert words.gram() == pytest.approx(
        np.stack([words.likeness(t) for t in ("to be or not", "not or be to", "something else")]),
        abs=1e-5,
    )


def test_one_label_is_nothing_to_learn() -> None:
    """A classifier of one label would call everything that."""
    with pytest.raises(ValueError, match="two labels"):
        Classifier.fit(["a", "b"], ["one", "one"], np.eye(2, 384, dtype=np.float32))
