"""What an Office file says about itself: title, author, language, dates."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from knowledge.load.dates import moment
from knowledge.load.document import name

CORE = "docProps/core.xml"
DC = "{http://purl.org/dc/elements/1.1/}"
TERMS = "{http://purl.org/dc/terms/}"
# What programs write when nobody said anything.
PLACEHOLDERS = {
    *("Word Document", "PowerPoint Presentation", "Untitled"),
    *("python-docx", "python-pptx", "openpyxl", "Microsoft Office User"),
}


@dataclass(frozen=True, slots=True)
class Properties:
    """What is known; empty where nothing is."""

    title: str = ""
    author: str | None = None
    language: str | None = None
    created: datetime | None = None
    modified: datetime | None = None


def properties(data: bytes) -> Properties:
    """Return what the file says; nothing when it does not, or not readably.

    The libraries' own properties invent a title and today as the date where there are none.
    """
    from lxml.etree import LxmlError, XMLParser, fromstring  # type: ignore[import-untyped]  # none

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            root = fromstring(archive.read(CORE), XMLParser(resolve_entities=False))
    except (KeyError, ValueError, OSError, LxmlError, zipfile.BadZipFile):
        return Properties()
    return Properties(
        title=_text(root, f"{DC}title"),
        author=_text(root, f"{DC}creator") or None,
        language=_text(root, f"{DC}language") or None,
        created=moment(_text(root, f"{TERMS}created")),
        modified=moment(_text(root, f"{TERMS}modified")),
    )


def _text(root: Any, tag: str) -> str:
    found = name(root.findtext(tag))
    return "" if found in PLACEHOLDERS else found
