"""What a loader makes of a file: text in parts, each knowing its section and page."""

from __future__ import annotations

import datetime
import math
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from core.errors import DocumentUnreadable
from core.text import scrub

MAX_NAME_CHARACTERS = 300  # of a title, an author or a heading: more is not a name
MAX_DEPTH = 50  # of metadata
MAX_INTEGER_BITS = 63  # what every JSON reader can hold


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a document under one heading, on one page."""

    text: str
    section: str = ""  # headings above it, joined with " > "; "" when there are none
    page: int | None = None  # 1-based
    records: bool = False  # its paragraphs are rows of a table: complete, so never repeated
    table: bool = False  # all of one table, a row a paragraph: one chunk, where it is small enough


@dataclass(frozen=True, slots=True)
class Document:
    """One readable document; everything in it can be stored."""

    title: str
    media_type: str
    parts: tuple[Part, ...]
    bytes: int  # size of the file, or of the line it came from
    fragment: str = ""  # its id inside a file of many documents
    author: str | None = None
    language: str | None = None  # as the document itself says, such as "en" or "de-CH"
    created: datetime.datetime | None = None  # as the document itself says; with a time zone
    modified: datetime.datetime | None = None  # likewise; the file's own time is not used
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The whole text, its parts a blank line apart."""
        return "\n\n".join(part.text for part in self.parts)


def has_text(text: str) -> bool:
    """True when there is anything to read: spaces and invisible characters do not count."""
    return any(not c.isspace() and unicodedata.category(c) not in {"Cf", "Cc"} for c in text)


def name(text: object) -> str:
    """Return a title, author or heading on one line, shortened where it is no name any more."""
    line = " ".join(scrub(str(text or "")).split())
    return line if len(line) <= MAX_NAME_CHARACTERS else line[: MAX_NAME_CHARACTERS - 1] + "…"


def storable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return metadata as JSON that Postgres can store; raises DocumentUnreadable when too deep."""
    if depth == 0:
        raise DocumentUnreadable("Its metadata is nested too deeply.")
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(str(key)): storable(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item, depth - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        return str(value)
    return value
