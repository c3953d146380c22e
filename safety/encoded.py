"""What is written in another alphabet, read: base64, hex, percent signs, rot13, backwards, spaced.

Who hides a key or our instructions in an answer writes them so that patterns do not see them.
Each stretch that can be decoded to text is, twice over where need be, and looked at again.
Not read: other ciphers, compressed or encrypted data, base64 broken into short groups, Morse.
"""

from __future__ import annotations

import base64
import codecs
import html
import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import unquote

from safety.verdict import Detector, Hit, apart

SHORTEST = 20  # characters; below that nothing worth hiding fits in
_DEPTH = 2
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[ ,:;\n-]{0,2}){11,}(?:0x|\\x)?[0-9A-Fa-f]{2}")
_PERCENT = re.compile(r"[!-$&-~]{0,64}(?:%[0-9A-Fa-f]{2}[!-$&-~]{0,64}){2,}")
_ENTITIES = re.compile(r"(?:&#x?[0-9A-Fa-f]{1,6};[!-%'-~]{0,8}){4,}")
_SPACED = re.compile(r"(?<!\S)(?:[!-~][ .·_-]{1,3}){11,}[!-~](?!\S)")
_WORD = re.compile(r"[!-~]{20,}")
# A long word, or many very short ones: without, there is nothing to read.
_MAY_HOLD = re.compile(r"[!-~]{20}|(?:(?<!\S)[!-~]{1,5}[ .·_\n-]{1,3}){11}|&#")
# A letter or a byte by itself: what may be the beginning of a spelled-out text.
OPENS = re.compile(
    r"(?<!\S)(?:[!-~] {1,3})+\Z"
    r"|(?<![0-9A-Za-z])(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[,:;-]?[ \n])+\Z"
)


def readings(text: str, depth: int = _DEPTH) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, decoded) of what in `text` can be read in another way, plain text only."""
    if len(text) < SHORTEST or not _MAY_HOLD.search(text):
        return
    # What is turned twice is as it was.
    for needed, pattern, read in _READERS if depth == _DEPTH else _READERS[:-1]:
        if needed not in text:
            continue
        for match in pattern.finditer(text):
            for decoded in read(match.group()):
                yield match.start(), match.end(), decoded
                if depth > 1:
                    for _, _, deeper in readings(decoded, depth - 1):
                        yield match.start(), match.end(), deeper


class Encoded:
    """Finds in another writing what other detectors find in plain text."""

    name = "encoded"
    opens = OPENS

    def __init__(self, detectors: Sequence[Detector]) -> None:
        """detectors: what looks at the decoded text."""
        self._detectors = tuple(detectors)

    def find(self, text: str) -> Sequence[Hit]:
        """Return one hit for each encoded stretch with something in it; see Detector.find."""
        if len(text) < SHORTEST:
            return ()
        found: dict[tuple[int, int], Hit] = {}
        for start, end, decoded in readings(text):
            for detector in self._detectors:
                for hit in detector.find(decoded):
                    kind = f"encoded_{hit.kind}"
                    said = f"[redacted {kind.replace('_', ' ')}]"
                    found.setdefault((start, end), Hit(kind, hit.severity, start, end, said))
        return apart(found.values())


def _base64(token: str) -> Iterator[str]:
    plain = token.rstrip("=").replace("-", "+").replace("_", "/")
    for offset in range(4):  # the beginning of a long one may have left already
        part = plain[offset:]
        part = part[: len(part) - len(part) % 4] if len(part) % 4 == 1 else part
        decoded = base64.b64decode(part + "=" * (-len(part) % 4))
        if text := _text(decoded):
            yield text
            return


def _hex(token: str) -> Iterator[str]:
    digits = re.sub(r"0x|\\x|[^0-9A-Fa-f]", "", token)
    if text := _text(bytes.fromhex(digits[: len(digits) // 2 * 2])):
        yield text


def _text(decoded: bytes) -> str | None:
    """Return bytes as text, when they are text; a cut may have left half a letter at the ends."""
    text = decoded.decode("utf-8", "ignore")
    lost = len(decoded) - len(text.encode())
    plain = sum(character.isprintable() or character in "\t\r\n" for character in text)
    return text if lost <= 6 < len(text) and plain >= 0.95 * len(text) else None


def _percent(token: str) -> Iterator[str]:
    yield unquote(token)


def _entities(token: str) -> Iterator[str]:
    yield html.unescape(token)


def _spaced(token: str) -> Iterator[str]:
    yield re.sub(r"[ .·_-]{1,3}(?=[!-~](?:[ .·_-]|\Z))", "", token)


def _turned(token: str) -> Iterator[str]:
    yield token[::-1]
    yield codecs.encode(token, "rot13")


_READERS: tuple[tuple[str, re.Pattern[str], Callable[[str], Iterator[str]]], ...] = (
    ("", _BASE64, _base64),
    ("", _HEX, _hex),
    ("%", _PERCENT, _percent),
    ("&#", _ENTITIES, _entities),
    ("", _SPACED, _spaced),
    ("", _WORD, _turned),
)
