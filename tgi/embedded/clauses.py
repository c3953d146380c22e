"""Finds values that are a stretch of the request: a reason, an address, a formula, a report."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tgi.embedded.slots import Slot, type_of
from tgi.embedded.words import listed

_REASONS = listed("reason cause why justification")
_ADDRESSES = listed("address")
_SUBJECTS = listed("subject title summary headline")
_BODIES = listed("body description details message note comment report")
_FORMULAS = listed("expression formula calculation")
_PROGRAMS = listed("code program script python")

_BECAUSE = re.compile(
    r"\b(?:because(?:\s+of)?|since|due\s+to|reason(?:\s+is|\s*:)?|as\s+(?=(?:it|they|the|he|she|we|i)\b))"
    r"\s*(?:that\s+)?(.+?)\s*(?:[.!?](?:\s|$)|$)",
    re.IGNORECASE | re.DOTALL,
)
_SAID_LAST = re.compile(
    r",\s*((?:the|it|he|she|they|we|i|this|that)\b[^,.!?]{6,}?)\s*[.!?]?\s*$", re.I
)
_TO = re.compile(
    r"\bto:?\s+(?=\S*\d|[A-Z])(.+?)\s*(?:,?\s*(?:because|since|please)\b|[.!?](?:\s|$)|$)",
    re.IGNORECASE | re.DOTALL,
)
_COLON = re.compile(r"(?<!https)(?<!http):\s+(\S.*)", re.DOTALL)
_ABOUT = re.compile(r"\b(?:about|that|saying|for)\s+(.{4,})", re.IGNORECASE | re.DOTALL)
_FENCE = re.compile(r"```(?:\w+\n)?(.*?)```|`([^`\n]+)`", re.DOTALL)
_PERCENT = r"\d+(?:\.\d+)?\s*%\s*of\s*\d+(?:\.\d+)?"
_FORMULA = re.compile(
    rf"{_PERCENT}|[(\-+]*\d[\d.,]*\)*(?:\s*(?:\*\*|//|[-+*/^%×÷])\s*[(\-+]*\d[\d.,]*\)*)+",
    re.IGNORECASE,
)
LONGEST_SUBJECT = 80  # characters


def clause(slot: Slot, text: str) -> str | None:
    """Return the stretch of `text` that such a property asks for; None for any other property."""
    schema = slot.schema
    if type_of(schema) != "string" or {"format", "pattern", "enum", "const"} & set(schema):
        return None
    for names, find in _KINDS.items():
        if slot.spoken & names:
            found = find(text)
            return found if found and _fits(found, schema) else None
    return None


def is_formula(text: str) -> bool:
    """Return whether a value is something to calculate."""
    return _FORMULA.fullmatch(text) is not None


def _reason(text: str) -> str | None:
    return _last(_BECAUSE, text) or _last(_SAID_LAST, text)


def _address(text: str) -> str | None:
    return _last(_TO, text)


def _body(text: str) -> str | None:
    return _last(_COLON, text) or _last(_ABOUT, text)


def _subject(text: str) -> str | None:
    body = _body(text)
    if body is None:
        return None
    first = re.split(r"(?<=[.!?])\s|\n", body, maxsplit=1)[0].rstrip(".!?")
    return first if len(first) <= LONGEST_SUBJECT else first[: LONGEST_SUBJECT - 1].rstrip() + "…"


def _formula(text: str) -> str | None:
    found = max((m.group() for m in _FORMULA.finditer(text)), key=len, default="")
    return found.replace("×", "*").replace("÷", "/").strip() or None


def _program(text: str) -> str | None:
    match = _FENCE.search(text)
    if match is not None:
        return (match.group(1) or match.group(2)).strip() or None
    return _last(_COLON, text)


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    found = None
    for match in pattern.finditer(text):
        found = match.group(1).strip(" \t\n'\"“”")
    return found or None


def _fits(found: str, schema: Mapping[str, object]) -> bool:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    longest = high if isinstance(high, int) else len(found)
    return isinstance(low, int) and low <= len(found) <= longest


_KINDS = {
    _REASONS: _reason,
    _ADDRESSES: _address,
    _SUBJECTS: _subject,
    _BODIES: _body,
    _FORMULAS: _formula,
    _PROGRAMS: _program,
}
