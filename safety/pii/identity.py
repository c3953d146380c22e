"""What states number people by, and the date of their birth.

Numbers with check digits or dates inside are known by these; where any nine digits could be one,
a label has to stand before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from safety.pii.checksums import luhn, machine_readable, mod11_10, verhoeff, weighted
from safety.pii.found import Found
from safety.pii.labels import DIRECT, EDGE, SSN, WORD, distance, words

_STOP = rf"(?!{WORD})(?![-.]\d)"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"

_SSN = re.compile(rf"(\d{{3}})([-. ]|)(\d\d)\2(\d{{4}}){_STOP}")
_SSN_LABEL = re.compile(words(SSN))


@dataclass(frozen=True, slots=True)
class Rule:
    """A number of one country."""

    pattern: re.Pattern[str]
    right: Callable[[str], bool]  # takes letters and digits, capitals
    label: re.Pattern[str] | None = None  # must stand before it


def _rule(pattern: str, right: Callable[[str], bool], *labels: str) -> Rule:
    label = re.compile(words(*labels)) if labels else None
    return Rule(re.compile(pattern + _STOP), right, label)


def _dni(code: str) -> bool:
    number = code[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == code[-1]


_DIGITS_AND_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ODD = (
    *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21) * 2,
    *(2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
)


def _fiscal(code: str) -> bool:
    # Decreto ministeriale of 23 December 1976: odd places have values of their own.
    odd = dict(zip(_DIGITS_AND_LETTERS, _ODD, strict=True))
    total = sum(
        int(one, 36) - (0 if one.isdigit() else 10) if place % 2 else odd[one]
        for place, one in enumerate(code[:-1])
    )
    return chr(65 + total % 26) == code[-1]


def _nir(code: str) -> bool:
    number = code[:-2].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(code[-2:])


def _belgian(code: str) -> bool:
    return int(code[-2:]) in (97 - int(code[:-2]) % 97, 97 - int("2" + code[:-2]) % 97)


def _chinese(code: str) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[weighted(code[:-1], weights) % 11] == code[-1]


def _cpf(code: str) -> bool:
    first = weighted(code[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(code[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(code)) > 1 and (first, second) == (int(code[9]), int(code[10]))


def _norwegian(code: str) -> bool:
    first = weighted(code[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(code, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return first == second == 0


def _finnish(code: str) -> bool:
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(code[:6] + code[-4:-1]) % 31] == code[-1]


_RULES = (
    _rule(r"(?:[XYZ]-?\d{7}|\d{8})-?[A-HJ-NP-TV-Z]", _dni),  # Spain
    _rule(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]", _fiscal),  # Italy
    _rule(
        rf"[12] ?\d\d ?{_MONTH} ?(?:\d\d|2[AB]) ?\d{{3}} ?\d{{3}} ?\d\d", _nir
    ),  # France
    _rule(rf"\d\d\.{_MONTH}\.{_DAY}-\d{{3}}\.\d\d", _belgian),
    _rule(rf"[1-9]\d{{5}}(?:19|20)\d\d{_MONTH}{_DAY}\d{{3}}[\dX]", _chinese),
    _rule(r"\d{3}\.\d{3}\.\d{3}-\d\d", _cpf),  # Brazil
    _rule(rf"{_DAY}{_MONTH}\d\d ?\d{{5}}", _norwegian),
    _rule(rf"{_DAY}{_MONTH}\d\d[-+A-FU-Y]\d{{3}}[0-9A-FHJ-NPR-Y]", _finnish),
    _rule(rf"(?:\d\d)?\d\d{_MONTH}{_DAY}[-+]\d{{4}}", lambda code: luhn(code[-10:])),  # Sweden
    _rule(r"756\.\d{4}\.\d{4}\.\d\d", lambda c: weighted(c, (1, 3) * 6 + (1,)) % 10 == 0),  # CH
    _rule(
        r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]",
        lambda code: True,
    ),  # United Kingdom
    _rule(r"\d{9}", lambda c: weighted(c, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0, "bsn",
          "burgerservicenummer", "sofinummer"),
    _rule(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", mod11_10, "steuer*", "idnr", "tin"),  # Germany
    _rule(r"\d{11}", lambda c: weighted(c, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0, "pesel"),
    _rule(r"\d{3}[- ]?\d{3}[- ]?\d{3}", luhn, "sin", "social"),  # Canada
    _rule(r"[2-9]\d{3} ?\d{4} ?\d{4}", verhoeff, "aadhaar", "aadhar", "uidai"),
    _rule(r"\d{3}[ -]?\d{3}[ -]?\d{4}",
          lambda c: weighted(c, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0, "nhs"),
    _rule(rf"{_DAY}{_MONTH}\d\d-?\d{{4}}", lambda code: True, "cpr"),  # Denmark
)  # fmt: skip
NATIONAL = (
    "bsn burgerservicenummer sofinummer steuer* idnr tin pesel sin social aadhaar aadhar uidai nhs "
    "cpr"
)
"""What announces a number of those that have no form of their own."""
# Rules whose numbers begin with letters need more than the beginnings of digits.
_LETTERED = re.compile(rf"{EDGE}[A-Z]{{1,6}} ?\d")
# All have six digits close together; two years in a sentence are none of them.
_DENSE = re.compile(r"[A-Z]{0,6}[ -]?\d(?:\D{0,2}\d){5}")

# A line of a passport that machines read: number, nation, birth, sex, expiry (ICAO 9303).
_MACHINE = re.compile(
    r"(?<!\w)([A-Z0-9<]{9})(\d)[A-Z<]{3}(\d{6})(\d)[MFX<](\d{6})(\d)[A-Z0-9<]{14}[\d<]\d(?!\w)"
)
_MACHINE_NAME = re.compile(r"(?<!\w)P[A-Z<][A-Z<]{3}[A-Z]+<[A-Z<]{20,37}(?!\w)")
_GAP = r"[^\d\n]{0,24}?(?<!\w)"
_PASSPORTS = "passport* reisepass* passeport* pasaporte* passaporto* paspoort*"
_PASSPORT = re.compile(rf"{words(_PASSPORTS)}{_GAP}((?=(?:[A-Z]*\d){{5}})[A-Z0-9]{{6,10}})(?!\w)")
_LICENSES = "driv* führerschein* permis dl"
_LICENSE = re.compile(
    rf"{words(_LICENSES)}(?:\W{{0,2}}s)?(?:\W{{1,2}}(?i:licen[cs]e|permit)\w?)?{_GAP}"
    r"((?=(?:[A-Z-]*\d){4})[A-Z0-9](?:[A-Z0-9]|-(?=[A-Z0-9])){4,20})(?!\w)"
)
_BIRTHS = (
    "born birth* dob bday geboren geburts* naissance né née nacid* nacimiento nato nata nascita "
    "nascid* nascimento geboortedatum urodz* född født syntynyt рожд* родил*"
)
_NAMED = (
    r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|fév|fev|avr|aoû|déc|ene"
    r"|abr|ago|dic|gen|mag|giu|lug|set|ott|out|mei|maj)[^\W\d_]{0,7}\.?"
)
_DATE = (
    rf"(?:\d{{1,2}}[./-]\d{{1,2}}[./-](?:\d{{4}}|\d\d)|\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)? (?:of |de )?{_NAMED}(?: de)?,? \d{{4}}"
    rf"|{_NAMED} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_BIRTH = re.compile(rf"{words(_BIRTHS)}[^\d\n]{{0,24}}?(?<![^\W_])({_DATE})(?!\w)")

LABELLED = f"{_PASSPORTS} {_LICENSES} {_BIRTHS}"
"""What announces the rest."""
_ANY_LABEL = re.compile(words(LABELLED))


def numbers(text: str, starts: Iterable[int]) -> Iterator[Found]:
    """Yield the numbers with a form of their own in a folded text; some overlap."""
    for start in sorted({*starts, *(match.start() for match in _LETTERED.finditer(text))}):
        if not _DENSE.match(text, start):
            continue
        if (match := _SSN.match(text, start)) and (score := _ssn(match, text)):
            yield Found("us_ssn", start, match.end(), score)
        for rule in _RULES:
            match = rule.pattern.match(text, start)
            if (
                match
                and (rule.label is None or distance(rule.label, text, start) is not None)
                and rule.right("".join(filter(str.isalnum, match[0])))
            ):
                yield Found("national_id", start, match.end())


def labelled(text: str) -> Iterator[Found]:
    """Yield what only a word before it tells: passports, licences, dates of birth."""
    if _ANY_LABEL.search(text):
        for kind, pattern in (
            ("passport", _PASSPORT),
            ("us_driver_license", _LICENSE),
            ("date_of_birth", _BIRTH),
        ):
            for match in pattern.finditer(text):
                yield Found(kind, match.start(1), match.end(1), 0.8)


def documents(text: str) -> Iterator[Found]:
    """Yield the lines of travel documents that machines read."""
    for match in _MACHINE.finditer(text):
        fields = ((match[1], match[2]), (match[3], match[4]), (match[5], match[6]))
        if all(machine_readable(field) == int(digit) for field, digit in fields):
            yield Found("passport", match.start(), match.end())
    for match in _MACHINE_NAME.finditer(text):
        yield Found("passport", match.start(), match.end())


def _ssn(match: re.Match[str], text: str) -> float:
    area, separator, group, serial = match.groups()
    if area in ("000", "666") or group == "00" or serial == "0000":
        return 0.0
    if area >= "900" and not (group >= "50"):
        return 0.0  # from 900 on they are tax numbers (ITIN), whose groups begin at 50
    if distance(_SSN_LABEL, text, match.start()) is not None:
        return 1.0
    if separator != "-" or DIRECT.search(text, max(0, match.start() - 40), match.start()):
        return 0.0
    return 0.9
