"""Which loader reads a file, and the checks that come before any of them."""

from __future__ import annotations

import errno
import importlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from core.errors import (
    DocumentEmpty,
    DocumentError,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
)
from knowledge.load.document import Document, has_text

# By suffix to a module here with `load(path, data)`; files without a suffix are tried as text.
LOADERS = {
    **dict.fromkeys(["", ".txt", ".text", ".log", ".rst", ".adoc"], "text"),
    **dict.fromkeys([".md", ".markdown", ".mdx"], "markdown"),
    **dict.fromkeys([".html", ".htm", ".xhtml"], "html"),
    ".pdf": "pdf",
    ".docx": "docx",
    **dict.fromkeys([".csv", ".tsv"], "table"),
    ".json": "records",
}
LINES = frozenset({".jsonl", ".ndjson"})


def load(path: Path, limit_bytes: int) -> Iterator[tuple[int, Document | DocumentError]]:
    """Yield what is in a file: one (0, document), or for JSON Lines one per line, numbered from 1.

    Raises DocumentError when nothing of the file can be read; a bad line is yielded instead.
    """
    suffix = path.suffix.lower()
    if suffix in LINES:
        from knowledge.load.records import load_lines

        _read(path, 0)
        yield from load_lines(path, limit_bytes)
        return
    if suffix not in LOADERS:
        readable = ", ".join(sorted(filter(None, {*LOADERS, *LINES})))
        raise DocumentUnsupported(f"Files ending in {suffix} are not read; these are: {readable}.")
    data = _read(path, limit_bytes)
    # A module is imported when its first file comes: pypdf and its kind take half a second.
    loader = importlib.import_module(f"knowledge.load.{LOADERS[suffix]}")
    document = cast("Document", loader.load(path, data))
    if not any(has_text(part.text) for part in document.parts):
        raise DocumentEmpty
    yield 0, document


def _read(path: Path, limit_bytes: int) -> bytes:
    """Return the file's first bytes; with a limit all of them, or DocumentTooLarge."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DocumentUnsupported("It is not a file.")  # opening a named pipe would wait
        if status.st_size == 0:
            raise DocumentEmpty("The file is empty.")
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise DocumentUnreadable(_reason(path, error)) from error
    if limit_bytes and len(data) > limit_bytes:
        raise DocumentTooLarge(
            f"It has {status.st_size / 2**20:.1f} MB; the limit is {limit_bytes >> 20} MB "
            "(KNOWLEDGE_MAX_DOCUMENT_MB)."
        )
    return data


def _reason(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "Its symbolic links lead in a circle."
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"It is a symbolic link to {path.readlink()}, which does not exist."
    if isinstance(error, PermissionError):
        return "Permission denied."
    return f"{error.strerror or error}."
