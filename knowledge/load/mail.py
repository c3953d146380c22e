"""E-mail: who wrote to whom and when, the body, and the attachments we can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path

from core.errors import DocumentError, DocumentUnreadable
from core.text import scrub
from knowledge.load.dates import moment
from knowledge.load.document import Document, Part, has_text, name
from knowledge.load.text import decode

MEDIA_TYPE = "message/rfc822"
MAX_DEPTH = 3  # messages attached to messages
MAX_ATTACHMENTS = 100
MAX_HEADER_CHARACTERS = 2000
SHOWN = ("From", "To", "Cc", "Date")
BLANK_LINES = re.compile(r"\n{3,}")


def load(path: Path, data: bytes, depth: int = 0) -> Document:
    """Return a message, its attachments as further parts.

    title = subject, author = sender, created = when it was sent. Quoted replies are kept.
    An attachment that cannot be read is named with the reason in metadata.
    Raises DocumentUnreadable when it is not a message.
    """
    try:
        message = message_from_bytes(data, policy=default)
        assert isinstance(message, EmailMessage)
        headers = {key: _header(message, key) for key in ("Subject", "Message-ID", *SHOWN)}
        if not any(headers.values()):
            raise DocumentUnreadable("It is not an e-mail: it has no headers.")
        parts = list(_body(message))
        attached, seen = _attachments(message, depth)
    except (MessageError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise DocumentUnreadable(f"It is not a whole e-mail: {error}") from error
    except RecursionError as error:
        raise DocumentUnreadable("Its parts are nested too deeply.") from error
    top = "\n".join(f"{key}: {headers[key]}" for key in SHOWN if headers[key])
    if parts and not parts[0].table:
        parts[0] = Part("\n\n".join(filter(None, [top, parts[0].text])), parts[0].section)
    elif top:
        parts.insert(0, Part(top))
    sender, address = parseaddr(headers["From"])
    return Document(
        title=name(headers["Subject"]) or name(path.stem),
        media_type=MEDIA_TYPE,
        parts=(*parts, *attached),
        bytes=len(data),
        author=name(sender or address) or None,
        created=_sent(headers["Date"]),
        metadata={"attachments": seen} if seen else {},
    )


def _header(message: EmailMessage, key: str) -> str:
    """Return a header as a reader sees it, however broken it is."""
    try:
        value = str(message.get(key, ""))
    except Exception:  # noqa: BLE001  # the parser of headers raises anything for broken ones
        raw = next((v for k, v in message.raw_items() if k.lower() == key.lower()), "")
        try:
            value = str(make_header(decode_header(str(raw))))
        except (ValueError, LookupError, MessageError):
            value = str(raw)
    # Bytes beyond ASCII, which no header may have, arrive as surrogates.
    if any("\ud800" <= character <= "\udfff" for character in value):
        try:
            value = decode(value.encode("utf-8", "surrogateescape"))[0]
        except (DocumentError, UnicodeEncodeError):
            value = scrub(value)
    return " ".join(scrub(value).split())[:MAX_HEADER_CHARACTERS]


def _sent(written: str) -> datetime | None:
    try:
        return moment(parsedate_to_datetime(written)) if written else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _body(message: EmailMessage) -> Iterator[Part]:
    """Yield the plain text, or what the HTML says where there is none."""
    from knowledge.load import html

    plain = message.get_body(("plain",))
    text = _text(plain) if isinstance(plain, EmailMessage) else ""
    if has_text(text):
        yield Part(BLANK_LINES.sub("\n\n", text).strip("\n").rstrip())
        return
    page = message.get_body(("html",))
    if isinstance(page, EmailMessage):
        yield from html.load(Path("body.html"), _text(page).encode()).parts


def _text(part: EmailMessage) -> str:
    """Return the text of a part, in the encoding that it declares or else that fits."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    if not data:
        return ""
    declared = str(part.get_content_charset() or "")
    if declared and declared != "us-ascii":
        try:
            return scrub(data.decode(declared).replace("\r\n", "\n").replace("\r", "\n"))
        except (LookupError, UnicodeDecodeError):
            pass  # it says what it is not
    return decode(data)[0]


def _attachments(message: EmailMessage, depth: int) -> tuple[list[Part], list[str]]:
    """Return the parts of the attachments that can be read, and a line about each of them all."""
    from knowledge.load.formats import read

    parts: list[Part] = []
    seen: list[str] = []
    for index, attachment in enumerate(message.iter_attachments(), 1):
        if index > MAX_ATTACHMENTS:
            seen.append(f"more than {MAX_ATTACHMENTS}: not read")
            break
        if attachment.get_content_maintype() in {"image", "audio", "video"}:
            continue  # signatures and logos, mostly
        path, data = _file(attachment, index)
        if depth >= MAX_DEPTH:
            seen.append(f"{path.name}: not read, attached too deeply")
            continue
        try:
            document = read(path, data, depth + 1)
        except DocumentError as error:
            seen.append(f"{path.name}: not read: {error.message}")
            continue
        called = document.title if document.media_type == MEDIA_TYPE else path.name
        seen.append(called)
        for part in document.parts:
            section = " > ".join(filter(None, [called, part.section]))
            parts.append(Part(part.text, section, part.page, part.records, part.table))
    return parts, seen


def _file(attachment: EmailMessage, index: int) -> tuple[Path, bytes]:
    """Return what an attachment is called, made safe, and what is in it."""
    called = name(attachment.get_filename() or "").replace("/", "_").replace("\\", "_")
    if attachment.get_content_type() == MEDIA_TYPE:
        inner = next(iter(attachment.iter_parts()), None)
        data = inner.as_bytes() if inner is not None else b""
        return Path(f"{called or f'message {index}'}").with_suffix(".eml"), data
    payload = attachment.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    suffixes = {"text/html": ".html", "text/csv": ".csv", "text/plain": ".txt"}
    suffix = suffixes.get(attachment.get_content_type(), "")
    return Path(called or f"attachment {index}{suffix}"), data
