"""Payment cards and bank accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from safety.pii.checksums import luhn, mod97
from safety.pii.found import Found
from safety.pii.labels import CARD, DIRECT, distance


_EDGE = r"(?<!\w)(?<!\w[-./_])"
# In one piece, in groups of four, as American Express and Diners print them, digit by digit.
_CARD = re.compile(
    _EDGE + r"(?=(\d{12,19}(?!\w)|\d{4}([ .-]{1,2})\d{4}\2\d{4}(?:\2\d{1,4}){0,2}(?!\w)"
    r"|3\d{3}([ .-])\d{6}\3\d{4,5}(?!\w)|(?:\d ){12,18}\d(?!\w)))\d"
)
_SEPARATOR = re.compile(r"[ .-]+")
# Issuers' first digits (ISO/IEC 7812) with the lengths of their numbers.
_ISSUERS = re.compile(
    r"(?:4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:30[0-59]|3[689]\d)\d{11,16}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d\d|622\d)\d{12,15}"  # Discover
    r"|(?:2131|1800)\d{11}|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|(?:62|81)\d{14,17}"  # UnionPay
    r"|(?:220[0-4]|9792|5019|60\d\d|82\d\d|508\d|63[67]\d)\d{12,15}"  # Mir, Troy, Dankort, RuPay
    r"|(?:50[0-9]{2}|5[6-8]\d\d|0604|6\d{3})\d{8,15})"  # Maestro
)
_LABEL = re.compile(CARD)
_NEAR = 24  # characters between the word card and a number with a wrong check digit

# Length of an IBAN by country: the SWIFT registry.
_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG DZ", 25: "AO CV GW LY MZ PT ST",
        26: "IS TR YE", 27: "BF BI BJ CF CG CI CM DJ FR GA GR HN IR IT KM MA MC MG ML MR NE SM SN",
        28: "AL AZ BY CY DO GQ GT HU LB NI PL SV TD TG", 29: "BR EG PS QA UA", 30: "JO KW MU",
        31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN = re.compile(r"(?<![^\W_])([A-Za-z]{2})\d\d(?=[ -]?[A-Za-z0-9])")
_REST = re.compile(r"(?:[ -]?[A-Za-z0-9]){11,31}")
_ACCOUNT = re.compile(r"(?i)\biban\b")
OPENS = (r"(?<![^\W_])[^\W\d_]{2}\d\d(?:[\s-]?[^\W_]){0,30}",)


def find(text: str) -> Iterator[Found]:
    """Yield cards and accounts of a folded text; some overlap."""
    yield from _cards(text)
    yield from _ibans(text)


def _cards(text: str) -> Iterator[Found]:
    done = 0
    for match in _CARD.finditer(text):
        if match.start() < done:
            continue  # inside a card
        for end in _ends(match[1], match.start()):
            digits = _SEPARATOR.sub("", text[match.start() : end])
            if score := _likely(digits, text, match.start(), match[1]):
                yield Found("credit_card", match.start(), end, score)
                done = end
                break


def _ends(shape: str, start: int) -> list[int]:
    """Return where a card may end, longest first: before each of the last groups."""
    cuts = [start + match.start() for match in _SEPARATOR.finditer(shape)]
    return [start + len(shape), *reversed(cuts)]


def _likely(digits: str, text: str, start: int, shape: str) -> float:
    """Return how surely these digits are a card; 0: they are none."""
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1:
        return 0.0
    issued = bool(_ISSUERS.fullmatch(digits))
    label = distance(_LABEL, text, start)
    if luhn(digits):
        if label is not None:
            return 1.0
        thing = shape.isdecimal() and DIRECT.search(text, max(0, start - 40), start)
        return 0.9 if issued and not thing else 0.0
    # A digit mistyped or misheard is no reason to show all the others.
    return 0.5 if issued and len(digits) >= 14 and label is not None and label <= _NEAR else 0.0


def _ibans(text: str) -> Iterator[Found]:
    done = 0
    for match in _IBAN.finditer(text):
        length = _LENGTHS.get(match[1].upper())
        if length is None or match.start() < done:
            continue
        end = _end(text, match.end(), length - 4)
        if end is None:
            continue
        code = re.sub("[ -]", "", text[match.start() : end]).upper()
        labelled = _ACCOUNT.search(text, max(0, match.start() - 16), match.start())
        if mod97(code) or labelled:
            yield Found("iban", match.start(), end, 1.0 if mod97(code) else 0.6)
            done = end


def _end(text: str, start: int, length: int) -> int | None:
    """Return where `length` letters and digits end, blanks between them not counted."""
    rest = _REST.match(text, start)
    if rest is None:
        return None
    count = 0
    for place, one in enumerate(rest[0], start):
        count += one not in " -"
        if count == length:
            follows = text[place + 1 : place + 2]
            return None if follows.isalnum() or follows == "_" else place + 1
    return None
