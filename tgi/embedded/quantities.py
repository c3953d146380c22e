"""The numbers and dates that a text states, in whatever form it writes them.

1,000 = 1000 = "a thousand", 1.5 million = 1,500,000, "twenty-five" = 25, "km" = "kilometres",
3 May 1999 = May 3rd, 1999 = 1999-05-03.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tgi.embedded.words import fold

_MONTHS = {
    form: number
    for number, forms in enumerate(
        (
            ("january", "jan"),
            ("february", "feb"),
            ("march", "mar"),
            ("april", "apr"),
            ("may",),
            ("june", "jun"),
            ("july", "jul"),
            ("august", "aug"),
            ("september", "sept", "sep"),
            ("october", "oct"),
            ("november", "nov"),
            ("december", "dec"),
        ),
        1,
    )
    for form in forms
}
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>\d{4})"
_DATES = tuple(
    re.compile(rf"\b{form}\b", re.IGNORECASE)
    for form in (
        rf"{_YEAR}-(?P<month>\d{{2}})-(?P<day>\d{{2}})",
        rf"{_DAY}(?: of)? {_MONTH},? {_YEAR}",
        rf"{_MONTH} {_DAY},? {_YEAR}",
        rf"{_MONTH},? {_YEAR}",
        rf"{_DAY}(?: of)? {_MONTH}",
        rf"{_MONTH} {_DAY}",
    )
)
_UNITS = {
    word: unit
    for unit, forms in {
        "%": "percent pct percentage",
        "km": "km kilometre kilometres kilometer kilometers",
        "m": "m metre metres meter meters",
        "cm": "cm centimetre centimetres centimeter centimeters",
        "mm": "mm millimetre millimetres millimeter millimeters",
        "mi": "mi mile miles",
        "ft": "ft foot feet",
        "in": "inch inches",
        "kg": "kg kilogram kilograms kilogramme kilogrammes",
        "g": "g gram grams",
        "lb": "lb lbs pound pounds",
        "t": "ton tons tonne tonnes",
        "l": "l litre litres liter liters",
        "s": "s sec second seconds",
        "min": "min minute minutes",
        "h": "h hour hours",
        "d": "day days",
        "wk": "week weeks",
        "mo": "month months",
        "y": "year years",
        "usd": "dollar dollars usd",
        "eur": "euro euros eur",
        "kb": "kb kilobyte kilobytes",
        "mb": "mb megabyte megabytes",
        "gb": "gb gigabyte gigabytes",
        "tb": "tb terabyte terabytes",
        "c": "celsius",
        "f": "fahrenheit",
    }.items()
    for word in forms.split()
}
_SYMBOLS = {"%": "%", "$": "usd", "€": "eur", "£": "lb", "°c": "c", "°f": "f"}  # £ = pounds
_SCALES = {
    "dozen": 12,
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "k": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "bn": 1e9,
    "b": 1e9,
    "tn": 1e12,
}
_SMALL = {
    form: value
    for forms, value in {
        "zero": 0, "one first": 1, "two second twice": 2, "three third thrice": 3,
        "four fourth": 4, "five fifth": 5, "six sixth": 6, "seven seventh": 7,
        "eight eighth": 8, "nine ninth": 9, "ten tenth": 10, "eleven eleventh": 11,
        "twelve twelfth": 12, "thirteen thirteenth": 13, "fourteen fourteenth": 14,
        "fifteen fifteenth": 15, "sixteen sixteenth": 16, "seventeen seventeenth": 17,
        "eighteen eighteenth": 18, "nineteen nineteenth": 19, "twenty twentieth twenties": 20,
        "thirty thirtieth thirties": 30, "forty fortieth forties": 40, "fifty fiftieth fifties": 50,
        "sixty sixtieth sixties": 60, "seventy seventieth seventies": 70,
        "eighty eightieth eighties": 80, "ninety ninetieth nineties": 90,
    }.items()
    for form in forms.split()
}  # fmt: skip
_SPELLED = "|".join(sorted(_SMALL, key=len, reverse=True))
_NUMBER = re.compile(
    rf"""(?P<symbol>[$€£])?\s?
    (?<![\w.])(?:
        (?P<digits>\d{{1,3}}(?:[,.'’\u00a0\u202f ]\d{{3}})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)
        (?P<decade>s\b|st\b|nd\b|rd\b|th\b)?
      | (?P<spelled>(?:{_SPELLED})(?:[- ](?:{_SPELLED}))?)\b
      | (?P<article>an?(?=\s(?:hundred|thousand|million|billion|trillion|dozen)\b))
    )
    (?:[\s-]?(?P<scale>hundred|thousand|million|billion|trillion|dozen|bn|mn|tn|[kmb](?=\b))s?\b)?
    (?:[\s-]?(?P<unit>%|°[cf]\b|[a-z]+))?""",
    re.IGNORECASE | re.VERBOSE,
)


class Number(NamedTuple):
    """A number as it was written, with what it can mean: 1.000 is a thousand, or one."""

    text: str
    values: frozenset[float]
    unit: str  # "" when there is none that we know


class Date(NamedTuple):
    """A date, as far as it is given; 0 where it is not."""

    text: str
    year: int
    month: int
    day: int


def is_measure(text: str) -> bool:
    """Return whether a number only stands close to its unit or scale: 10km, 5bn."""
    match = re.fullmatch(r"\d[\d.,]*([^\W\d]+)", text)
    return bool(match and (fold(match.group(1)) in _UNITS or fold(match.group(1)) in _SCALES))


def is_month(word: str) -> bool:
    """Return whether `word` names a month."""
    return fold(word) in _MONTHS


def same(one: float, other: float) -> bool:
    """Return whether two numbers are equal, but for how a computer keeps them."""
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other), 1.0)


def dates(text: str) -> Iterator[Date]:
    """Yield the dates of `text`, the most complete forms first."""
    taken: list[tuple[int, int]] = []
    for form in _DATES:
        for match in form.finditer(text):
            if any(start < match.end() and match.start() < stop for start, stop in taken):
                continue
            parts: Mapping[str, str | None] = match.groupdict()
            month, day = str(parts["month"]), int(parts.get("day") or 0)
            lower = match.group() == match.group().lower()
            if (lower and month in ("may", "march")) or day > 31:
                continue  # "you may 2 times" is no date
            number = int(month) if month.isdigit() else _MONTHS[month.casefold()]
            taken.append(match.span())
            yield Date(match.group(), int(parts.get("year") or 0), number, day)


def numbers(text: str) -> Iterator[Number]:
    """Yield the numbers of `text` in order."""
    for match in _NUMBER.finditer(text):
        scale = _SCALES.get((match["scale"] or "").casefold(), 1)
        if match["digits"]:
            values = _readings(match["digits"])
        elif match["spelled"]:
            values = {
                float(sum(_SMALL[part] for part in re.split(r"[- ]", fold(match["spelled"]))))
            }
        else:
            values = {1.0}
        symbol = _SYMBOLS.get(match["symbol"] or "", "")
        unit = fold(match["unit"] or "")
        unit = symbol or _SYMBOLS.get(unit) or _UNITS.get(unit, "")
        if match["scale"] in ("m", "b", "k") and not symbol and match["digits"]:
            # "5 m" is five metres as likely as five million.
            yield Number(match.group().strip(), frozenset(values), _UNITS.get(match["scale"], ""))
            continue
        yield Number(match.group().strip(), frozenset(v * scale for v in values), unit)


def _readings(digits: str) -> set[float]:
    """Return what digits can mean: "1,000" a thousand, "1.000" that or one, "2,5" 2.5."""
    bare = re.sub(r"['’\u00a0\u202f ]", "", digits)
    groups = re.fullmatch(r"(\d{1,3})((?:[.,]\d{3})+)([.,]\d+)?", bare)
    found = set()
    if groups:
        tail = (groups[3] or "").replace(",", ".")
        found.add(float(groups[1] + re.sub(r"[.,]", "", groups[2]) + tail))
    if len(re.findall(r"[.,]", bare)) <= 1 and not (groups and "," in bare):
        found.add(float(bare.replace(",", ".")))
    return found or {float(re.sub(r"\D", "", bare))}
