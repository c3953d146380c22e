"""Text without what nobody can see: one spelling, no hidden characters, no display tricks.

Kept or stored text is NFC: the same letters, composed. NFKC would change meaning (² → 2,
½ → 1⁄2, ﬁ → fi), so only `skeleton`, which patterns look at and nobody reads, is NFKC.

| removed | kept |
|---|---|
| control characters, noncharacters | tab, line feed (other line ends become one) |
| tag characters (they smuggle ASCII) | inside the flags of England, Scotland and Wales |
| variation selectors (they smuggle bytes) | one, right after a visible character |
| bidirectional embeddings, overrides, isolates | direction marks in a text with RTL letters |
| zero-width joiner and non-joiner | between emoji; between letters of scripts that join |
| zero-width space | between letters of scripts written without spaces |
| every other character that is invisible by definition | |

Lone surrogates become U+FFFD.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from safety.verdict import Finding, Severity

NAME = "invisible"

_CONTROL = "control characters"
_TAG = "tag characters"
_SELECTOR = "variation selectors"
_BIDI = "bidirectional controls"
_ZERO_WIDTH = "zero-width characters"
SEVERITIES: dict[str, Severity] = {
    _TAG: "high",
    _SELECTOR: "medium",
    _BIDI: "medium",
    _CONTROL: "low",
    _ZERO_WIDTH: "low",
}

# Default_Ignorable_Code_Point of Unicode 16, plus controls, noncharacters and surrogates:
# whatever this does not match goes through untouched.
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_RTL = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_LINE_END = re.compile("\r\n?|[\x85\u2028\u2029]")
_BLACK_FLAG = "\U0001f3f4"
_FLAGS = tuple(
    "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
_MARKS = "\u200e\u200f\u061c"
# Scripts whose letters change shape with a (non-)joiner, and scripts without word spaces.
_JOINING = re.compile(
    "[\u0600-\u07bf\u0840-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdcf\ufdf0-\ufdff"
    "\ufe70-\ufefc\U0001e900-\U0001e95f]"
)
_SPACELESS = re.compile("[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf]")
_EMOJI = re.compile("[\u00a9\u00ae\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]")


def normalise(text: str) -> tuple[str, tuple[Finding, ...]]:
    """Return the text as it may be read and stored, and what was removed from it.

    Never raises; a second time it changes nothing and finds nothing.
    """
    if text.isascii() and not _SUSPECT.search(text):
        return text, ()
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    removed: Counter[str] = Counter()
    before = None
    while text != before:  # a removal can bring together what only then is out of place
        before = text
        text = unicodedata.normalize("NFC", _sift(_LINE_END.sub("\n", text), removed))
    findings = tuple(
        Finding(NAME, severity, "warn", f"{removed[kind]} {kind}", "input")
        for kind, severity in SEVERITIES.items()
        if removed[kind]
    )
    return text, findings


def skeleton(text: str) -> str:
    """Return what patterns look at: NFKC, lower case, look-alikes made Latin, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LOOK_ALIKES)
    return " ".join(folded.split())


def _sift(text: str, removed: Counter[str]) -> str:
    has_rtl = bool(_RTL.search(text))
    kept: list[str] = []
    previous = ""  # the last character that was kept
    position = 0
    for match in _SUSPECT.finditer(text):
        start = match.start()
        if start < position:
            continue  # inside a flag
        if start > position:
            kept.append(text[position:start])
            previous = text[start - 1]
        position = start + 1
        stays = match.group()
        if previous == _BLACK_FLAG and (flag := _flag_at(text, start)):
            stays = flag
            position = start + len(flag)
        elif kind := _judge(stays, previous, text[position : position + 1], has_rtl=has_rtl):
            removed[kind] += 1
            continue
        kept.append(stays)
        previous = stays[-1]
    return "".join((*kept, text[position:]))


def _judge(character: str, previous: str, following: str, *, has_rtl: bool) -> str | None:
    """Return why `character` goes, or None when it may stay."""
    code = ord(character)
    if code < 0xA0 or 0xFDD0 <= code <= 0xFDEF or code in (0xFFFE, 0xFFFF):
        return _CONTROL
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        visible = bool(previous) and not previous.isspace() and not _SUSPECT.match(previous)
        return None if visible else _SELECTOR
    if 0xE0000 <= code <= 0xE0FFF:
        return _TAG
    if character in _MARKS:
        return None if has_rtl and previous not in _MARKS else _BIDI
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return _BIDI
    if character == "\u200d" and _emoji_before(previous) and _EMOJI.match(following):
        return None
    if character in "\u200c\u200d" and _JOINING.match(previous) and _JOINING.match(following):
        return None
    if character == "\u200b" and _SPACELESS.match(previous) and _SPACELESS.match(following):
        return None
    if 0x180B <= code <= 0x180F and "\u1820" <= previous <= "\u18aa":
        return None  # Mongolian letters choose their shape with these
    return _ZERO_WIDTH


def _emoji_before(previous: str) -> bool:
    return previous == "\ufe0f" or bool(_EMOJI.match(previous))


def _flag_at(text: str, start: int) -> str:
    return next((flag for flag in _FLAGS if text.startswith(flag, start)), "")


# Letters drawn like Latin ones, after case folding; from Unicode's confusables, the common part.
_LOOK_ALIKES = str.maketrans(
    "авсԁеһіјкӏмнорԛѕтуѵԝхαβεηικνορτυχγ", "abcdehijklmhopqstyvwxabenikvoptuxy"
) | str.maketrans({"*": "", "_": " ", "`": "", "’": "'", "\ufe0f": ""})
