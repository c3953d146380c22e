"""JSON, read as one document, and JSON Lines, each line a document of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import DocumentEmpty, DocumentError, DocumentTooLarge, DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, has_text, name, storable
from knowledge.load.text import decode

TEXT_FIELDS = ("text", "content", "body", "page_content")
ID_FIELDS = ("id", "_id")
MAX_ID_CHARACTERS = 500  # it becomes part of an indexed URI
SAMPLE_BYTES = 1 << 16
MAX_BROKEN_SHARE = 0.1  # of the bytes, that are not UTF-8


def load(path: Path, data: bytes) -> Document:
    """Return a JSON file as one document.

    An object with a `text` is read as a line of JSON Lines is. Anything else becomes lines
    `key.key: value`, a part for each member of the outermost object or list.
    """
    text, _ = decode(data)
    value = _parse(text)
    if isinstance(value, dict) and any(isinstance(value.get(key), str) for key in TEXT_FIELDS):
        return replace(_record(value, len(data), path.stem), fragment="")
    parts = [
        Part(scrub(body), section=name(key), records=True)
        for key, body in _members(value)
        if has_text(body)
    ]
    return Document(name(path.stem), "application/json", tuple(parts), len(data))


def load_each(path: Path, limit_bytes: int) -> Iterator[tuple[int, Document | DocumentError]]:
    """Yield (line number, document or DocumentError) for each line that is not blank.

    The file itself may have any size: one line at a time is in memory.
    Fields: `id`, `title`, `text`, `author`, `language`, `section`, `page`, `metadata` (an object);
    other fields become metadata. Without an id a line is known by a hash of its content.
    """
    first_use: dict[str, int] = {}
    with path.open("rb") as file:
        _check(file.read(SAMPLE_BYTES))
        file.seek(0)
        number = 0
        while line := file.readline(limit_bytes + 1):
            number += 1
            if len(line) > limit_bytes:
                while line and not line.endswith(b"\n"):
                    line = file.readline(limit_bytes)
                yield number, DocumentTooLarge(f"The line has more than {limit_bytes >> 20} MB.")
                continue
            if not line.strip(b"\xef\xbb\xbf \t\r\n"):
                continue
            try:
                document = _line(line, path.stem)
                used = first_use.setdefault(document.fragment, number)
                if used != number:
                    raise DocumentUnreadable(
                        f"Line {used} has the same id: {document.fragment[:80]}"
                    )
            except RecursionError:
                yield number, DocumentUnreadable("Its values are nested too deeply.")
            except DocumentError as error:
                yield number, error
            else:
                yield number, document


def _check(sample: bytes) -> None:
    """Refuse at once what is no text at all, instead of naming each of its lines."""
    broken = sample.decode("utf-8", "replace").count("\ufffd")
    if broken > MAX_BROKEN_SHARE * len(sample):
        raise DocumentUnreadable("It is not UTF-8, as JSON Lines must be.")


def _line(line: bytes, stem: str) -> Document:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentUnreadable("It is not UTF-8, as JSON Lines must be.") from error
    value = _parse(text)
    if not isinstance(value, dict):
        raise DocumentUnreadable("It is not a JSON object.")
    return _record(value, len(line), stem)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise DocumentUnreadable("Its values are nested too deeply.") from error
    except ValueError as error:
        raise DocumentUnreadable(f"It is not JSON: {error}") from error


def _record(value: dict[str, Any], size: int, stem: str) -> Document:
    """Return the document that an object with a text describes.

    Without a title it is called by its id, or like the file.
    """
    rest = dict(value)
    text = next((rest.pop(key) for key in TEXT_FIELDS if key in rest), None)
    if not isinstance(text, str):
        raise DocumentUnreadable('It has no "text" that is a string.')
    given = next((rest.pop(key) for key in ID_FIELDS if key in rest), None)
    identity = {} if given in (None, "") else {"id": given}
    canonical = json.dumps(value, sort_keys=True)  # ASCII, so that it can always be encoded
    fragment = (
        scrub(str(given)) if identity else hashlib.sha256(canonical.encode()).hexdigest()[:16]
    )
    if len(fragment) > MAX_ID_CHARACTERS:
        raise DocumentUnreadable(f"Its id has more than {MAX_ID_CHARACTERS} characters.")
    if not has_text(text):
        raise DocumentEmpty(f"The text of {fragment[:80]} is empty.")
    title, author = name(rest.pop("title", "")), name(rest.pop("author", ""))
    language, section = name(rest.pop("language", "")), name(rest.pop("section", ""))
    page = rest.pop("page", None)
    metadata = rest.pop("metadata", None)
    if not isinstance(metadata, dict):
        metadata = {} if metadata is None else {"metadata": metadata}
    return Document(
        title=title or name(fragment if identity else stem),
        media_type="application/json",
        parts=(Part(scrub(text), section, page if _is_page(page) else None),),
        bytes=size,
        fragment=fragment,
        author=author or None,
        language=language or None,
        metadata=storable({**metadata, **rest, **identity}),
    )


def _is_page(page: object) -> bool:
    return isinstance(page, int) and not isinstance(page, bool) and 0 < page < 1 << 31


def _members(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the outermost members as (key, paragraphs): an entry of a list is one paragraph."""
    if isinstance(value, dict):
        plain = {key: item for key, item in value.items() if not isinstance(item, dict | list)}
        yield "", "\n\n".join(_lines(plain, ""))
        for key, item in value.items():
            if key not in plain:
                yield str(key), "\n\n".join(_paragraphs(item))
    else:
        yield "", "\n\n".join(_paragraphs(value))


def _paragraphs(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        yield from ("; ".join(_lines(item, "")) for item in value)
    else:
        yield from _lines(value, "")


def _lines(value: Any, path: str) -> Iterator[str]:
    """Yield `path: value` for every plain value inside."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        if all(not isinstance(item, dict | list) for item in value):
            yield from _lines(", ".join(_shown(item) for item in value), path)
        else:
            for index, item in enumerate(value, 1):
                yield from _lines(item, f"{path}.{index}" if path else str(index))
    elif value is not None and value != "":
        yield f"{path}: {_shown(value)}" if path else _shown(value)


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
