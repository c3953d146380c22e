"""Jupyter notebooks: the prose and code of the cells, and the text that came out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load import markdown
from knowledge.load.document import Document
from knowledge.load.text import decode

MAX_OUTPUT_CHARACTERS = 2000  # of one cell: more is a log


def load(path: Path, data: bytes) -> Document:
    """Return a part for each heading of the prose; raises DocumentUnreadable."""
    try:
        found = json.loads(decode(data)[0])
    except (ValueError, RecursionError) as error:
        raise DocumentUnreadable(f"It is not a notebook: {error}") from error
    cells = found.get("cells") if isinstance(found, dict) else None
    if not isinstance(cells, list):
        raise DocumentUnreadable("It is not a notebook: it has no cells.")
    text = "\n\n".join(block for cell in cells if isinstance(cell, dict) for block in _cell(cell))
    document = markdown.load(path, scrub(text).encode())
    return replace(document, media_type="application/x-ipynb+json", bytes=len(data))


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = _joined(cell.get("source")).strip("\n")
    if cell.get("cell_type") != "code":
        yield source
        return
    if source.strip():
        yield f"~~~~\n{source}\n~~~~"
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        shown = output.get("data")
        plain = shown.get("text/plain") if isinstance(shown, dict) else output.get("text")
        text = _joined(plain)[:MAX_OUTPUT_CHARACTERS].strip("\n")
        if text.strip():
            yield f"~~~~\n{text}\n~~~~"


def _joined(lines: Any) -> str:
    if isinstance(lines, list):
        return "".join(str(line) for line in lines)
    return lines if isinstance(lines, str) else ""
