"""In what encoding a text was saved: marks first, then what decodes to words that exist."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from knowledge.load.language import confidence

# What people really save text in. The order settles ties, which are common: most Western text
# reads the same in cp1252, cp1250 and cp1257.
COMMON = [
    *("cp1252", "cp1250", "iso8859_2", "cp1251", "koi8_r", "utf_16_le", "utf_16_be"),
    *("gb18030", "cp932", "euc_jp", "big5", "cp949"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
]
RARE = ["iso8859_5", "iso8859_7", "cp850", "cp866", "mac_roman"]
EAST = frozenset({"gb18030", "cp932", "euc_jp", "big5", "cp949"})
WIDE = frozenset({"utf_16_le", "utf_16_be"})  # a text without one ASCII character is rare
BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
ISO_2022 = ((b"\x1b$B", "iso2022_jp"), (b"\x1b$@", "iso2022_jp"), (b"\x1b$)C", "iso2022_kr"))
GUESSED_BYTES = 1 << 18  # looked at for a guess
SAMPLE_CHARACTERS = 4000
MAX_EAST = 0.05  # likewise, where it decides alone
MAX_ODD_SHARE = 0.34  # of the characters beyond ASCII; above it, nothing makes sense
AROUND = re.compile(r"\S{0,40}[^\x00-\x7f]\S{0,40}")
BEYOND = re.compile(r"[^\x00-\x7f]")
PAIR = re.compile(r"[^\x00-\x7f]{2}")
ODD_KINDS = frozenset({"So", "Sk", "Sm", "Sc", "Cc", "Co", "Cn", "No", "Lm"})
ONE_WORD = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "FULLWIDTH", "HANGUL"})


def candidates(data: bytes) -> Iterator[str]:
    """Yield encodings to try, likeliest first; none where only nonsense would come out."""
    marked = next((encoding for bom, encoding in BOMS if data.startswith(bom)), None)
    if marked is not None:
        yield marked
        return
    head = data[:GUESSED_BYTES]
    yield from dict.fromkeys(encoding for escape, encoding in ISO_2022 if escape in head)
    yield "utf-8"
    from charset_normalizer import from_bytes

    tried = [encoding for encoding in COMMON if encoding not in WIDE or b"\0" in head]
    found = list(from_bytes(data, cp_isolation=tried))
    # Equal marks are usual; our order among equals is what makes the choice right.
    found.sort(key=lambda match: (match.chaos, -match.coherence, COMMON.index(match.encoding)))
    fitting = [match.encoding for match in found]
    # Of the East it knows how often each character is, which tells its encodings apart.
    if fitting and fitting[0] in EAST and _is_east(_sample(data, fitting[0]) or ""):
        yield fitting[0]
    # Of alphabets it does not: there the words decide.
    ranked = []
    for encoding in (*COMMON, *RARE):
        sample = _sample(data, encoding)
        if sample is None or encoding in EAST or (encoding in WIDE and encoding not in fitting):
            continue
        odd = _odd_share(sample)
        if odd <= MAX_ODD_SHARE:
            order = (*COMMON, *RARE).index(encoding)
            ranked.append((round(odd, 2), -round(confidence(sample), 2), order, encoding))
    yield from (encoding for *_, encoding in sorted(ranked))
    yield from (encoding for encoding in fitting if encoding in EAST)


def _sample(data: bytes, encoding: str) -> str | None:
    """Return the words that are not all ASCII; None where the encoding does not fit."""
    head = data[:GUESSED_BYTES]
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        text = decoder.decode(head, final=len(head) == len(data))
    except UnicodeDecodeError:
        return None
    found, length = [], 0
    for match in AROUND.finditer(text):
        found.append(match[0])
        length += len(match[0]) + 1
        if length > SAMPLE_CHARACTERS:
            break
    return " ".join(found)


def _is_east(sample: str) -> bool:
    """True for text in characters: they follow each other, and none is out of place."""
    pairs = len(PAIR.findall(sample))
    return pairs * 4 > len(BEYOND.findall(sample)) and _odd_share(sample) <= MAX_EAST


def _odd_share(sample: str) -> float:
    """Return how many of the characters beyond ASCII stand where no writer puts them.

    Capitals inside words, symbols between letters, two scripts in one word: what a wrong code
    page makes of the letters that it maps elsewhere.
    """
    beyond = odd = 0
    padded = f" {sample} "
    for before, here, after in zip(padded, padded[1:], padded[2:], strict=False):
        if here < "\x80":
            continue
        beyond += 1
        kind = unicodedata.category(here)
        katakana = "\uff61" <= here <= "\uff9f"  # of half width, which nobody writes
        between = kind in ODD_KINDS and not (before + after).isascii()
        if kind in {"Cc", "Co", "Cn"} or katakana or between:
            odd += 1
        elif before.isalpha() or after.isalpha():
            inside = before.isalpha() and after.isalpha()
            odd += (
                (kind in ODD_KINDS and inside)
                or (kind == "Lu" and before.islower())
                or (kind == "Lu" and before.isalpha() and after.islower())
                or (kind == "Ll" and before.isupper() and after.isupper())
                or (here.isalpha() and any(_strangers(here, other) for other in (before, after)))
            )
    return odd / beyond if beyond else 0.0


def _strangers(one: str, other: str) -> bool:
    if not other.isalpha():
        return False
    scripts = {_script(one), _script(other)}
    return len(scripts) > 1 and not scripts <= ONE_WORD


@cache  # there are few scripts, and each character is asked for thousands of times
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
