"""Finds what a text states outright: numbers, dates, ids, addresses, names, quoted words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

MentionKind = Literal["quoted", "email", "url", "date", "id", "number", "word", "name"]

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in _MONTHS)
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
# In order of precedence: what an earlier pattern took, a later one leaves alone.
_PATTERNS: tuple[tuple[MentionKind, re.Pattern[str]], ...] = (
    ("quoted", re.compile(
        r"\"([^\"\n]{1,200})\"|“([^”\n]{1,200})”|«([^»\n]{1,200})»|`([^`\n]{1,200})`|(?<!\w)'([^'\n]{1,200})'(?!\w)"
        r"|(?<!\w)‘([^’\n]{1,200})’(?!\w)")),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("url", re.compile(r"\bhttps?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")),
    ("date", re.compile(
        rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}/\d{{1,2}}/\d{{4}}\b"
        rf"|\b(?:{_MONTH})\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th)?(?: of)? (?:{_MONTH})\.?,? \d{{4}}\b", re.IGNORECASE)),
    ("id", re.compile(
        r"#\w[\w-]*|\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)+\b"
        r"|\b[A-Za-z]+\d[A-Za-z\d]*\b|\b\d+[A-Za-z]+\d[A-Za-z\d]*\b")),
    ("number", re.compile(
        rf"(?<![\w.]){_NUMBER}(?:e-?\d+\b)?(?:\s?(?:{'|'.join(_SCALES)})\b)?", re.IGNORECASE)),
    ("word", re.compile(  # a number spelled out
        rf"\b(?:{'|'.join(_SMALL)})(?: (?:{'|'.join(_SCALES)}))?\b", re.IGNORECASE)),
    ("name", re.compile(
        r"\b(?:[^\W\d_a-z][\w'’.-]*[\w]|[A-Z]\b)"
        r"(?:(?: (?:of|the|de|la|van|von|der|and|&))? [^\W\d_a-z][\w'’-]*)*(?:, [A-Z]{2}\b)?")),
)  # fmt: skip
_NO_NAME = re.compile(rf"I(?:['’]\w+)?$|(?:{_MONTH})$", re.IGNORECASE)


class Mention(NamedTuple):
    """Something stated in a text; `value` is how it is written, without quotation marks."""

    kind: MentionKind
    value: str
    start: int
    stop: int


def mentions(text: str) -> list[Mention]:
    """Return what `text` states, in order, without overlaps."""
    found: list[Mention] = []
    taken = bytearray(len(text))
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
                value = next((group for group in match.groups() if group), match.group())
                found.append(Mention(kind, value.strip(), match.start(), match.end()))
    return sorted(_opening_verbs_dropped(found, text), key=lambda mention: mention.start)


def number(written: str) -> float | None:
    """Return the number that `written` stands for: "1,200", "2.5 million", "three"."""
    folded = written.casefold().replace(",", "").strip()
    match = re.match(r"[-+]?\d+(?:\.\d+)?(?:e-?\d+)?", folded)
    head = match.group() if match else folded.split(" ")[0]
    if match:
        value = float(head)
    elif head in _SMALL:
        value = float(_SMALL.index(head))
    else:
        return None
    return value * _SCALES.get(folded[len(head) :].strip(), 1)


def iso_date(written: str) -> str | None:
    """Return a stated day as YYYY-MM-DD; None when it is not one.

    Of day/month/year written with slashes the month comes first, unless it cannot.
    """
    if match := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", written):
        year, month, day = (int(part) for part in match.groups())
    elif match := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", written):
        month, day, year = (int(part) for part in match.groups())
        month, day = (day, month) if month > 12 else (month, day)
    else:
        name = re.search(_MONTH, written, re.IGNORECASE)
        digits = [int(part) for part in re.findall(r"\d+", written)]
        if name is None or len(digits) != 2:
            return None
        month = [known[:3] for known in _MONTHS].index(name.group()[:3].casefold()) + 1
        day, year = digits
    return f"{year:04}-{month:02}-{day:02}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _opening_verbs_dropped(found: list[Mention], text: str) -> Iterator[Mention]:
    """A capital at the beginning of a sentence makes no name, unless more of the name follows."""
    for mention in found:
        if mention.kind == "name" and _NO_NAME.match(mention.value):
            continue
        before = text[: mention.start].rstrip()
        opens = not before or before[-1] in ".!?:\n"
        if mention.kind == "name" and opens:
            _, _, rest = mention.value.partition(" ")
            if rest and rest[0].isupper():
                start = mention.stop - len(rest)
                yield Mention("name", rest, start, mention.stop)
            continue
        yield mention
