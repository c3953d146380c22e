"""Which half of a set is fitted on and which only reported on: by hash, so it never changes."""

from __future__ import annotations

import hashlib


def in_first_half(article: str) -> bool:
    """Return whether models are fitted on an article, by the title of it."""
    return digest(article)[0] < 128


def digest(text: str) -> bytes:
    """Return bytes that depend on `text` alone."""
    return hashlib.sha256(text.encode()).digest()
