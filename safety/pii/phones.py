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
from safety.pii.labels import ANNOUNCED, DIRECT, LONGEST, PHONE, REACH, WORD, distance, words

_EDGE = re.compile(r"(?<![$€£¥#%+])(?<!\d,)")
_STOP = rf"(?!{WORD})(?![-./]\d)(?!,\d{{3}})(?!%)"
EXTENSION = r"[\s,;]{0,2}(?i:x|ext\.?|extn\.?|extension|#|app\.?|poste|durchwahl|int\.?)[\s.:]{0,2}"
"""What stands between a number and its extension."""
_EXTENSION = rf"(?P<ext>{EXTENSION}\d{{1,6}})?"
_DENSE = re.compile(r"[(+]{0,2}\d(?:\D{0,4}\d){6}")
# North America: three, three and four, the first two not beginning with 0 or 1.
_AMERICAN = re.compile(
    rf"(?:(?:\+?[178]|001)[-. ]?)?"
    r"(?:\([2-9]\d\d\)[ .-]?[2-9]\d\d[-. ]\d{4}|[2-9]\d\d([-. /])[2-9]\d\d[-. ]\d{4})"
    rf"{_EXTENSION}{_STOP}"
)
_WORLD = re.compile(
    rf"\(?(?:\+ ?|00(?=[1-9]\d?\d?[ /(-]))(?P<code>[1-9]\d{{0,3}})\)?"
    rf"(?:[ ./-]{{0,2}}\(\d{{1,5}}\))?"
    rf"(?:[ ./-]{{0,2}}\d){{3,14}}{_EXTENSION}(?!{WORD})"
)
# With the zero that is dialled inside a country, in groups.
_TRUNK = re.compile(
    rf"(?:\(0\d{{1,5}}\)[ /-]{{0,2}}\d{{2,9}}(?:[ ./-]\d{{2,8}}){{0,4}}"
    r"|0\d{1,5}(?:[ /-]| ?[/-] ?|\.(?=\d\d\.))\d{2,9}(?:[ ./-]\d{1,8}){0,4})"
    rf"{_EXTENSION}{_STOP}(?! (?![(+0])\d)"
)
_AREA = re.compile(
    rf"(?:[178][ -]?)?\(\d{{2,5}}\)[ /.-]{{0,2}}\d{{2,5}}"
    rf"(?:-\d{{2,5}}|[- ]\d\d[- ]\d\d){_EXTENSION}{_STOP}"
)
# Anything else of that length, where a word announces it.
_DIGITS = re.compile(rf"(?:\(\d{{1,5}}\)[ -]?)?\d(?:[ ./-]?\d){{5,12}}{_EXTENSION}{_STOP}")
_GROUP_END = re.compile(r"\d(?=[ ./()-]|\Z)")
_DATE = re.compile(
    r"\(?(?:\d{1,2}([./-])\d{1,2}\1(?:19|20)\d\d|(?:19|20)\d\d([./-]?)(?:0?[1-9]|1[0-2])\2"
    r"(?:0?[1-9]|[12]\d|3[01])|(?:(?:19|20)\d\d(?:[ -]|\Z)){2,})(?!\d)"
)
_TRUNK_ZERO = re.compile(r"\(0\)")
_ROUND = re.compile(r"\d{1,3}(?:[ .]000)+")
# What digits are more often: seconds or milliseconds since 1970, from 2001 on, thousands, decimals.
_DOUBTFUL = re.compile(r"1\d{9}(?:\d{3})?|\d{1,3}(?:[ .]\d{3})+|\d+\.\d+")
_SPELLED = re.compile(r"\d(?:[ .-]\d){,7}")  # digit by digit, and too few
_PAIRS = re.compile(r"\d\d(?:[ .-]\d\d)+")
_SOCIAL = re.compile(r"\d{3}-\d\d-\d{4}")
_IN_ROW = re.compile(r"\d \Z")
_LABEL = re.compile(PHONE)
_LIST = 60  # characters between a label and the second number in a row that it announces

# What stands before a number in a list, and behind one in a sentence.
_NAMED = "home work office main direct desk reception private business büro bureau"
_LETTERS = "h w m t p f o"
FIELDS = f"{_NAMED} {_LETTERS}"
"""What announces a number in a list, as "Office: "."""
_FIELD_BEFORE = re.compile(rf"(?:{words(_NAMED)}[:.]?|{words(_LETTERS)}[:.])\s?\Z")
_OWNER = (
    words("my your his her their our") + rf"(?:\s{words('new old other current mobile direct')})?"
)
_NUMBER = r"\s[nN]umber(?:\sis|\swas|'s)?[\s:]{0,2}"
_NUMBER_BEFORE = re.compile(rf"{_OWNER}{_NUMBER}\Z")
MINE = rf"{_OWNER}(?:{_NUMBER})?"
"""What announces a number in a sentence, or is about to."""
_BETWEEN = words("is was still to as my your his her their our the new old direct")
_AFTER = re.compile(
    rf"[ \-(,:]{{1,3}}(?:{_BETWEEN} ){{0,3}}"
    + words(
        "office fax home work mobile cell cellphone phone telephone tel desk landline direct handy "
        "mobil privat büro bureau portable móvil trabajo contacts"
    )
)
AND = r"(?:[^\S\n]|[,;/&|]){1,3}(?:(?:to|or|and|und|oder|et|ou|y|o|e|i|och|og|en|of)[^\S\n]{0,2})?"
"""What stands between two numbers in a list."""
_ANOTHER = re.compile(rf"\d{AND}\Z")

BEHIND = (AND, rf"[\s\-(,:]{{0,3}}(?:{_BETWEEN}\s{{0,2}}){{0,3}}", EXTENSION)
"""What stands behind a number and may go on with more of it, with its label or with another."""


def find(text: str, starts: Sequence[int], regions: Sequence[str] = ()) -> Iterator[Found]:
    """Yield phone numbers of a folded text; some overlap, the surest first.

    regions: two-letter codes of countries whose own numbers are known without a word, in groups.
    """
    starts = [one for one in starts if _DENSE.match(text, one) and _EDGE.match(text, one)]
    ends: set[int] = set()
    done = 0
    for start in starts:
        if start >= done and (found := _formed(text, start, ends)):
            yield found
            done = found.end
            ends.add(done)
    done = 0
    for start in starts:
        match = _DIGITS.match(text, start) if start >= done else None
        if match is None or _count(match[0]) < 7 or _DATE.match(match[0]):
            continue
        # One more behind "or" is another.
        another = _ANOTHER.search(text, max(0, start - 12), start)
        listed = another is not None and another.start() + 1 in ends
        labelled = another is not None and another.start() + 1 == done
        if listed or _announced(text, match, regions, _LIST if labelled else REACH):
            yield Found("phone", start, match.end(), 0.7)
            done = match.end()


def _formed(text: str, start: int, ends: set[int]) -> Found | None:
    """Return the number at `start` that is known by its form; ends: of those before it."""
    match = _WORLD.match(text, start)
    if match and (end := _international(match)) and ("+" in match[0] or not _thing(text, start)):
        return Found("phone", start, end, 0.95)
    # A zero in a longer row of groups is no beginning, but behind another number it is.
    row = text[start] == "0" and _in_row(text, start) and start - 1 not in ends
    for pattern in (_AMERICAN, _AREA) if row else (_AMERICAN, _AREA, _TRUNK):
        match = pattern.match(text, start)
        if match and _likely(match) and not _thing(text, start):
            return Found("phone", start, match.end(), 0.9)
    return None


def _count(number: str) -> int:
    return sum(map(str.isdecimal, number))


def _likely(match: re.Match[str]) -> bool:
    """Return whether digits in the form of a phone number are as many as one has."""
    if _PAIRS.fullmatch(match[0]) and _count(match[0]) != 10:
        return False  # "05 12 23 34 41 07"
    if _SOCIAL.fullmatch(match[0]):
        return False
    extension = len(match["ext"] or "")
    return 9 <= _count(match[0][: len(match[0]) - extension]) <= 14 and not _DATE.match(match[0])


def _in_row(text: str, start: int) -> bool:
    """Return whether other digits stand right before, behind one blank."""
    return bool(_IN_ROW.search(text, max(0, start - 3), start))


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
    for end in (
        whole,
        *(cut.end() for cut in reversed([*_GROUP_END.finditer(text, begin, whole)])),
    ):
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
    general = found.general_desc if found else None
    return frozenset(general.possible_length if general else ())


def _announced(text: str, match: re.Match[str], regions: Sequence[str], reach: int) -> bool:
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
    if distance(_LABEL, text, start, reach) is not None:
        return True
    grouped = (
        not _in_row(text, start)
        and not match[0].isdecimal()
        and "." not in match[0]
        and _likely(match)
    )
    return grouped and any(_valid(match[0], region) for region in regions)


def _valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
