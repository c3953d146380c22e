"""Mailboxes in mbox form: each message a document of its own, one in memory at a time."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from email.parser import BytesHeaderParser
from email.policy import compat32
from pathlib import Path

from core.errors import DocumentEmpty, DocumentError, DocumentTooLarge, DocumentUnreadable
from knowledge.load.document import Document, has_text, name
from knowledge.load.mail import load as load_message

QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)  # how a line `From ` in a body is saved
LINE_BYTES = 1 << 20


def load_each(path: Path, limit_bytes: int) -> Iterator[tuple[int, Document | DocumentError]]:
    """Yield (line of its beginning, document or DocumentError) for each message.

    A message is known by its Message-ID, or else by a hash of what it says.
    Raises DocumentUnreadable when the file is no mailbox.
    """
    first_use: dict[str, int] = {}
    for line, data in _messages(path, limit_bytes):
        if data is None:
            yield line, DocumentTooLarge(f"The message has more than {limit_bytes >> 20} MB.")
            continue
        fragment = _fragment(data)
        used = first_use.setdefault(fragment, line)
        if used != line:
            yield line, DocumentUnreadable(f"The message of line {used} is the same.")
            continue
        try:
            document = load_message(path, data)
            if not any(has_text(part.text) for part in document.parts):
                raise DocumentEmpty
            yield line, replace(document, fragment=fragment)
        except DocumentError as error:
            yield line, error


def _messages(path: Path, limit_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield (line, message), None for one that is too large; they begin with a line `From `."""
    began = number = 0
    lines: list[bytes] = []
    size = 0
    whole = after_blank = True
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES):
            number += whole
            if whole and after_blank and line.startswith(b"From "):
                if began:
                    yield began, _joined(lines, size, limit_bytes)
                began, lines, size = number, [], 0
            elif not began:
                raise DocumentUnreadable("It is not a mailbox: it does not begin with `From `.")
            else:
                size += len(line)
                if size <= limit_bytes:
                    lines.append(line)
            after_blank = whole and not line.strip()
            whole = line.endswith(b"\n")
    if began:
        yield began, _joined(lines, size, limit_bytes)


def _joined(lines: list[bytes], size: int, limit_bytes: int) -> bytes | None:
    return QUOTED_FROM.sub(rb"\1", b"".join(lines)) if size <= limit_bytes else None


def _fragment(data: bytes) -> str:
    found = BytesHeaderParser(policy=compat32).parsebytes(data).get("Message-ID", "")
    return name(found).strip("<>") or hashlib.sha256(data).hexdigest()[:16]
