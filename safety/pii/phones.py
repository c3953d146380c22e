"""Phone numbers: by their form where it leaves no doubt, else by the words around them.

Timestamps, orders, versions and ids look like phone numbers without a form, so digits alone are
none. Which lengths a country has, and in the regions asked for which numbers exist, is known by
`phonenumbers`, Google's tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import phonenumbers

from safety.pii.found import Found
from safety.pii.labels import ANNOUNCED, DIRECT, LONGEST, PHONE, REACH, distance, words


_EDGE = r"(?<![\w$€£¥#%+])(?<!\w[-./_])(?<!\d,)"
_STOP = r"(?!\w)(?![-./]\d)(?!,\d{3})(?!%)"
_EXTENSION = (
    r"(?P<ext>[ ,;]{0,2}(?i:x|ext\.?|extn\.?|extension|#|app\.?|poste|durchwahl|int\.?)"
    r"[ .:]{0,2}\d{1,6})?"
)
# North America: three, three and four, the first two not beginning with 0 or 1.
_AMERICAN = re.compile(
    rf"{_EDGE}(?:(?:\+?[178]|001)[-. ]?)?"
    r"(?:\([2-9]\d\d\)[ .-]?[2-9]\d\d[-. ]\d{4}|[2-9]\d\d([-. /])[2-9]\d\d[-. ]\d{4})"
    rf"{_EXTENSION}{_STOP}(?! ?\d{{2}})"
)
_WORLD = re.compile(
    rf"{_EDGE}\(?(?:\+ ?|00(?=[1-9]\d?\d?[ /(-]))(?P<code>[1-9]\d{{0,3}})\)?(?:[ ./-]{{0,2}}\(\d{{1,5}}\))?"
    rf"(?:[ ./-]{{0,2}}\d){{3,14}}{_EXTENSION}(?!\w)"
)
# With the zero that is dialled inside a country, in groups.
_TRUNK = re.compile(
    rf"{_EDGE}(?:\(0\d{{1,5}}\)[ /-]{{0,2}}\d{{2,9}}(?:[ ./-]\d{{2,8}}){{0,4}}"
    r"|0\d{1,5}(?:[ /-]| ?[/-] ?|\.(?=\d\d\.))\d{2,9}(?:[ ./-]\d{1,8}){0,4})"
    rf"{_EXTENSION}{_STOP}(?! (?![(+0])\d)"
)
_AREA = re.compile(
    rf"{_EDGE}(?:[178][ -]?)?\(\d{{2,5}}\)[ /.-]{{0,2}}\d{{2,5}}"
    rf"(?:-\d{{2,5}}|[- ]\d\d[- ]\d\d){_EXTENSION}{_STOP}"
)
# Anything else of that length, where a word announces it.
_DIGITS = re.compile(
    rf"{_EDGE}(?:\(\d{{1,5}}\)[ -]?)?\d(?:[ ./-]?\d){{5,12}}{_EXTENSION}{_STOP}"
)
_GROUP_END = re.compile(r"\d(?=[ ./()-]|\Z)")
_DATE = re.compile(
    r"\(?(?:\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d|(?:19|20)\d\d([./-]?)(?:0?[1-9]|1[0-2])\2"
    r"(?:0?[1-9]|[12]\d|3[01])|(?:(?:19|20)\d\d(?:[ -]|\Z)){2,})(?!\d)"
)
_TRUNK_ZERO = re.compile(r"\(0\)")
_ROUND = re.compile(r"\d{1,3}(?:[ .]000)+")
# What digits are more often: seconds or milliseconds since 1970, from 2001 on, and thousands.
_DOUBTFUL = re.compile(r"1\d{9}(?:\d{3})?|\d{1,3}(?:[ .]\d{3})+")
_SPELLED = re.compile(r"\d(?:[ .-]\d){,7}")  # digit by digit, and too few
_PAIRS = re.compile(r"\d\d(?:[ .-]\d\d)+")
_LABEL = re.compile(PHONE)

_FIELD = (
    words(*"home work office main direct desk reception private business büro bureau".split())
    + "[:.]?|"
    + words(*"h w m t p f o".split())
    + "[:.]"
)
_FIELD_BEFORE = re.compile(rf"(?:{_FIELD}) ?\Z")
_OWN = words(*"my your his her their our its this that the new old other current".split())
_NUMBER_BEFORE = re.compile(
    rf"(?:{words('my', 'your', 'his', 'her', 'their', 'our')}) (?:(?:{_OWN}) )?[nN]umber"
    r"(?: is| was|'s)?[ :]{0,2}\Z"
)
_IN_BETWEEN = words(*"is was still to as my your his her their our the new old direct".split())
_AFTER = re.compile(
    rf"[ \-(,:]{{1,3}}(?:{_IN_BETWEEN} ){{0,3}}"
    + words(
        *"office fax home work mobile cell cellphone phone telephone tel desk landline".split(),
        *"direct handy mobil privat büro bureau portable móvil trabajo contacts".split(),
    )
)
_AND = r"[\s,;/&|]{1,3}(?:(?:to|or|and|und|oder|et|ou|y|o|e|i|och|og|en|of)\s{1,2})?"
_ANOTHER = re.compile(rf"\d{_AND}\Z")
OPENS = (
    rf"\d{_AND}",
    r"\d\)?[\s\-(,:]{0,3}(?:" + _IN_BETWEEN + r"\s{0,2}){0,3}",
    r"\d[\s,;]{0,2}(?i:x|ext\.?|extn\.?|extension|#|app\.?|poste|durchwahl|int\.?)[\s.:]{0,2}",
    rf"(?:{_FIELD})\s?",
    rf"(?:{words('my', 'your', 'his', 'her', 'their', 'our')})(?:\s(?:{_OWN}))?"
    r"(?:\s[nN]umber(?:\sis|\swas|'s)?[\s:]{0,2})?",
    rf"(?:{PHONE})[\s\S]{{0,{REACH}}}",
)


def find(text: str, regions: Sequence[str] = ()) -> Iterator[Found]:
    """Yield phone numbers of a folded text; some overlap, the surest first.

    regions: two-letter codes of countries whose own numbers are known without a word, in groups.
    """
    ends = set()  # of numbers already found: one more after "or" is another
    for match in _WORLD.finditer(text):
        if (end := _international(match)) and not _thing(text, match.start()):
            ends.add(end)
            yield Found("phone", match.start(), end, 0.95)
    for pattern in (_AMERICAN, _AREA, _TRUNK):
        for match in pattern.finditer(text):
            if _formed(match) and not _thing(text, match.start()):
                ends.add(match.end())
                yield Found("phone", match.start(), match.end(), 0.9)
    for match in _DIGITS.finditer(text):
        if _count(match[0]) < 7 or _dated(match):
            continue
        another = _ANOTHER.search(text, max(0, match.start() - 12), match.start())
        if (another and another.start() + 1 in ends) or _announced(text, match, regions):
            ends.add(match.end())
            yield Found("phone", match.start(), match.end(), 0.7)


def _count(number: str) -> int:
    return sum(map(str.isdecimal, number))


def _formed(match: re.Match[str]) -> bool:
    """Return whether digits in the form of a phone number are as many as one has."""
    if _PAIRS.fullmatch(match[0]) and _count(match[0]) != 10:
        return False  # "05 12 23 34 41 07"
    extension = len(match["ext"] or "")
    return 9 <= _count(match[0][: len(match[0]) - extension]) <= 14 and not _dated(match)


def _dated(match: re.Match[str]) -> bool:
    return bool(_DATE.match(match[0]))


def _thing(text: str, start: int) -> bool:
    """Return whether the number is said to be about a thing."""
    return bool(DIRECT.search(text, max(0, start - LONGEST - 16), start))


def _international(match: re.Match[str]) -> int | None:
    """Return where a number with a country code ends; None: there is no such country."""
    countries = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    country = next((n for n in (1, 2, 3) if int(match["code"][:n]) in countries), None)
    if country is None:
        return None
    begin = match.start("code") + country
    lengths = _lengths(int(match["code"][:country]))
    whole = match.end() if match.start("ext") < 0 else match.start("ext")
    text = match.string
    # More digits may follow that belong to something else: the longest that can be is taken.
    for end in (whole, *(cut.end() for cut in reversed([*_GROUP_END.finditer(text, begin, whole)]))):
        if _count(_TRUNK_ZERO.sub("", text[begin:end])) in lengths:
            return match.end() if end == whole else end
    # No number of that country, but nothing else either that begins with a plus.
    plus = "+" in match[0][:2]
    return match.end() if plus and 7 <= _count(text[begin:whole]) <= 13 else None


@lru_cache(maxsize=300)
def _lengths(country: int) -> frozenset[int]:
    """Return how many digits numbers of a calling code may have behind it."""
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[country][0]
    tables = phonenumbers.PhoneMetadata
    if region == "001":
        found = tables.metadata_for_nongeo_region(country)
    else:
        found = tables.metadata_for_region(region)
    return frozenset(found.general_desc.possible_length if found else ())


def _announced(text: str, match: re.Match[str], regions: Sequence[str]) -> bool:
    """Return whether the words around some digits say that they are a phone number."""
    start, end = match.span()
    if _ROUND.fullmatch(match[0]) or _SPELLED.fullmatch(match[0]) or _thing(text, start):
        return False
    if _FIELD_BEFORE.search(text, max(0, start - LONGEST), start):
        return True
    if _NUMBER_BEFORE.search(text, max(0, start - REACH), start) or _AFTER.match(text, end):
        return True
    if _DOUBTFUL.fullmatch(match[0]):
        return bool(ANNOUNCED.search(text, max(0, start - REACH - LONGEST), start))
    if distance(_LABEL, text, start) is not None:
        return True
    return not match[0].isdecimal() and any(_valid(match[0], region) for region in regions)


def _valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
