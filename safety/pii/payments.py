"""Payment cards and bank accounts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from safety.pii.checksums import luhn, mod97
from safety.pii.found import Found
from safety.pii.labels import CARD, DIRECT, WORD, distance

# In one piece, in groups of four, as American Express and Diners print them, digit by digit.
_CARD = re.compile(
    r"(?:\d{12,19}|\d{4}([ .-]{1,2})\d{4}\1\d{4}(?:\1\d{1,4}){0,2}"
    rf"|3\d{{3}}([ .-])\d{{6}}\2\d{{4,5}}|(?<!\d )(?:\d ){{12,18}}\d)(?!{WORD})"
)
_SEPARATOR = re.compile(r"[ .-]+")
# Issuers' first digits (ISO/IEC 7812) with the lengths of their numbers.
_ISSUERS = re.compile(
    r"(?:4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|(?:30[0-59]|3[689]\d)\d{11,16}"  # Diners Club
    r"|(?:6011|64[4-9]\d|65\d\d|622\d)\d{12,15}"  # Discover
    r"|(?:2131|1800)\d{11}|35\d{14,17}"  # JCB
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
_REST = re.compile(r"(?:[ -]?[A-Za-z0-9]){11,30}")
_ACCOUNT = re.compile(r"(?i)\biban\b")


def cards(text: str, starts: Iterable[int]) -> Iterator[Found]:
    """Yield the payment cards of a folded text."""
    done = 0
    for start in starts:
        match = _CARD.match(text, start) if start >= done else None
        if match is None:
            continue
        for end in _ends(match[0], start):
            if score := _likely(re.sub("[ .-]", "", text[start:end]), text, start, match[0]):
                yield Found("credit_card", start, end, score)
                done = end
                break


def _ends(shape: str, start: int) -> list[int]:
    """Return where a card may end, longest first: before each of the last groups."""
    if shape[1:2] == " ":
        return [start + len(shape)]  # digit by digit
    cuts = [start + match.start() for match in _SEPARATOR.finditer(shape)]
    return [start + len(shape), *reversed(cuts)]


def _likely(digits: str, text: str, start: int, shape: str) -> float:
    """Return how surely these digits are a card; 0: they are none."""
    if not 12 <= len(digits) <= 19 or len(set(digits)) == 1:
        return 0.0
    issued = bool(_ISSUERS.fullmatch(digits))
    fours = len(digits) == 16 and not shape.isdecimal()
    label = distance(_LABEL, text, start)
    if not luhn(digits):
        # A digit mistyped or misheard is no reason to show all the others.
        near = label is not None and label <= _NEAR
        return 0.5 if near and issued and len(digits) >= 14 else 0.0
    if label is not None or (fours and digits[0] in "345"):
        return 1.0
    if DIRECT.search(text, max(0, start - 40), start):
        return 0.0
    if issued and len(digits) >= (12 if shape.isdecimal() else 13):
        return 0.9
    # Printed like a card, and not a part of something longer.
    return 0.7 if fours and len(shape) == 19 and digits[0] not in "01" else 0.0


def ibans(text: str) -> Iterator[Found]:
    """Yield the bank accounts of a folded text."""
    done = 0
    for match in _IBAN.finditer(text):
        country = match[1].upper()
        if country not in _LENGTHS or match.start() < done:
            continue
        rest = _REST.match(text, match.end())
        ends = _stops(rest, _LENGTHS[country] - 4) if rest else []
        codes = {end: re.sub("[ -]", "", text[match.start() : end]).upper() for end in ends}
        for end, code in codes.items():
            if mod97(code):
                # With the right check digits and a wrong length: countries change theirs.
                yield Found(
                    "iban", match.start(), end, 1.0 if len(code) == _LENGTHS[country] else 0.8
                )
                done = end
                break
        else:
            if (
                ends
                and len(codes[ends[0]]) == _LENGTHS[country]
                and _ACCOUNT.search(text, max(0, match.start() - _NEAR), match.start())
            ):
                yield Found("iban", match.start(), ends[0], 0.6)
                done = ends[0]


def _stops(rest: re.Match[str], length: int) -> list[int]:
    """Return where an account may end, likeliest first.

    After `length` letters and digits in any groups; else at the end of the first group, or
    after groups of four and what is left of them.
    """
    known = []
    others = []
    count = 0
    fours = True
    for group in re.finditer("[A-Za-z0-9]+", rest[0]):
        count += len(group[0])
        end = rest.start() + group.end()
        if rest.string[end : end + 1].isalnum() or rest.string[end : end + 1] == "_":
            break
        if count == length:
            known = [end]
        elif fours and count >= 11:
            others.append(end)
        fours = fours and len(group[0]) == 4
    return known + others[::-1]
