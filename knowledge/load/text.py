"""Plain text in whatever encoding it was saved."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, name

# What people really save text in. Without this list charset-normalizer takes German for Mac
# Icelandic: it weighs a hundred code pages that short texts cannot tell apart. The order settles
# ties, which are common: most Western text reads the same in cp1252, cp1250 and cp1257.
ENCODINGS = [
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "utf_16_le", "utf_16_be"),
    *("gb18030", "cp932", "euc_jp", "big5", "cp949"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
]
BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
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
    for encoding in _candidates(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _is_text(text):
            return scrub(text.replace("\r\n", "\n").replace("\r", "\n")), encoding
    raise DocumentUnreadable("It is not text: no encoding makes sense of it.")


def _candidates(data: bytes) -> Iterator[str]:
    """Yield encodings to try, likeliest first."""
    marked = next((encoding for bom, encoding in BOMS if data.startswith(bom)), None)
    if marked is not None:
        yield marked
        return
    yield "utf-8"
    from charset_normalizer import from_bytes

    matches = list(from_bytes(data, cp_isolation=ENCODINGS))
    # Equal marks are usual; our order among equals is what makes the choice right.
    matches.sort(key=lambda m: (m.chaos, -m.coherence, ENCODINGS.index(m.encoding)))
    yield from (match.encoding for match in matches)


def _is_text(text: str) -> bool:
    """True unless the text is full of control characters."""
    sample = text[:SAMPLE]
    odd = sum((c < " " and c not in "\t\n\r\f") or "\x7f" <= c < "\xa0" for c in sample)
    return odd <= max(ALLOWED_CONTROLS, MAX_CONTROL_SHARE * len(sample))
