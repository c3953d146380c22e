"""Plain text in whatever encoding it was saved."""

from __future__ import annotations

from pathlib import Path

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, name
from knowledge.load.encoding import candidates

UTF8 = frozenset({"utf-8", "utf-8-sig"})
MAX_CONTROL_SHARE = 0.1  # of the characters; noise and machine code have more
ALLOWED_CONTROLS = 8  # in a short text a few NULs are a large share
SAMPLE = 1 << 16


def load(path: Path, data: bytes) -> Document:
    """Return the text as one part; raises DocumentUnreadable when it is not text."""
    text, encoding = decode(data)
    return Document(
        *(name(path.stem), "text/plain", (Part(text),), len(data)), metadata=assumed(encoding)
    )


def assumed(encoding: str) -> dict[str, str]:
    """Return metadata that says in what encoding a text was read, where it is not UTF-8."""
    return {} if encoding in UTF8 else {"encoding": encoding}


def decode(data: bytes) -> tuple[str, str]:
    """Return the text, its lines ended by LF and storable, and the encoding that fits it best.

    Raises DocumentUnreadable when no encoding makes text of it.
    """
    for encoding in candidates(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _is_text(text):
            return scrub(text.replace("\r\n", "\n").replace("\r", "\n")), encoding
    raise DocumentUnreadable("It is not text: no encoding makes sense of it.")


def _is_text(text: str) -> bool:
    """True unless the text is full of control characters."""
    sample = text[:SAMPLE]
    odd = sum((c < " " and c not in "\t\n\r\f") or "\x7f" <= c < "\xa0" for c in sample)
    return odd <= max(ALLOWED_CONTROLS, MAX_CONTROL_SHARE * len(sample))
