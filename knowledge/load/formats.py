"""From a path to documents: the checks that come first, the loader, the language."""

from __future__ import annotations

import errno
import importlib
import stat
from collections.abc import Iterator
from dataclasses import replace
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
from knowledge.load.kinds import HEAD_BYTES, MANY, is_box, kind
from knowledge.load.language import language_of

Found = tuple[int, Document | DocumentError]
"""A line, from 1, in a file of many documents, or 0; and what is there."""


def load(path: Path, limit_bytes: int) -> Iterator[Found]:
    """Yield what is in a file: one (0, document), or each of its documents with its line.

    Raises DocumentError when nothing of the file can be read; a bad line is yielded instead.
    """
    many = MANY.get(path.suffix.lower())
    if many is None and path.suffix.lower() in {"", ".txt"} and is_box(_head(path)):
        many = "mailbox"
    if many is not None:
        _head(path)
        # A module is imported when its first file comes: some take half a second.
        loader = importlib.import_module(f"knowledge.load.{many}")
        for line, found in cast("Iterator[Found]", loader.load_each(path, limit_bytes)):
            yield line, _finished(found) if isinstance(found, Document) else found
        return
    data = _read(path, limit_bytes)
    yield 0, read(path, data)


def read(path: Path, data: bytes, depth: int = 0) -> Document:
    """Return what is in the bytes of a file that is called like this.

    depth: how many files there are around it: attachments of attachments end somewhere.
    Raises DocumentError.
    """
    which = kind(path, data)
    loader = importlib.import_module(f"knowledge.load.{which}")
    found = loader.load(path, data, depth) if which == "mail" else loader.load(path, data)
    document = cast("Document", found)
    if not any(has_text(part.text) for part in document.parts):
        raise DocumentEmpty
    return _finished(document)


def _finished(document: Document) -> Document:
    """Add the language where the document does not say it."""
    if document.language:
        return document
    return replace(document, language=language_of(document))


def _head(path: Path) -> bytes:
    """Return the file's first bytes."""
    return _bytes(path, HEAD_BYTES)


def _read(path: Path, limit_bytes: int) -> bytes:
    """Return all of a file; raises DocumentTooLarge before any of a larger one is in memory."""
    data = _bytes(path, limit_bytes + 1, limit_bytes)
    if len(data) > limit_bytes:  # it grew meanwhile
        raise DocumentTooLarge(_too_large(len(data), limit_bytes))
    return data


def _bytes(path: Path, count: int, limit_bytes: int | None = None) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DocumentUnsupported("It is not a file.")  # opening a named pipe would wait
        if status.st_size == 0:
            raise DocumentEmpty("The file is empty.")
        if limit_bytes is not None and status.st_size > limit_bytes:
            raise DocumentTooLarge(_too_large(status.st_size, limit_bytes))
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise DocumentUnreadable(_reason(path, error)) from error


def _too_large(size_bytes: int, limit_bytes: int) -> str:
    return (
        f"It has {size_bytes / 2**20:.1f} MB; the limit is {limit_bytes >> 20} MB "
        "(KNOWLEDGE_MAX_DOCUMENT_MB)."
    )


def _reason(path: Path, error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "Its symbolic links lead in a circle."
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"It is a symbolic link to {path.readlink()}, which does not exist."
    if isinstance(error, PermissionError):
        return "Permission denied."
    return f"{error.strerror or error}."
