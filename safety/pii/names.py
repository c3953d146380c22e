"""Names that are known from a profile, in any spelling: "José" is found as "jose" and "JOSÉ"."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from safety.pii.found import Found

SHORTEST = 4  # letters of a part of a name that is looked for alone
LONGEST = 100  # characters of a name
_BETWEEN = r"[\s.'-]{1,2}"
# Scripts that put no blanks between words.
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


class Names:
    """Some names as patterns."""

    def __init__(self, names: Iterable[str]) -> None:
        whole = [parts for name in names if (parts := _parts(name))]
        alone = {part for parts in whole for part in parts if len(part) >= SHORTEST}
        patterns = [_BETWEEN.join(map(_any_case, parts)) for parts in whole]
        # "Mark" is a name where "mark" is a word.
        patterns += [_capital(part) for part in alone]
        patterns.sort(key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, patterns))) if patterns else None
        self.opens = tuple(
            rf"(?<!\w){_BETWEEN.join(map(_any_case, parts[:count]))}[\s.'-]{{0,2}}"
            for parts in whole
            for count in range(1, len(parts))
        )

    def find(self, text: str) -> Iterator[Found]:
        """Yield the names in a folded text: whole ones, else their longer parts."""
        if self._pattern:
            for match in self._pattern.finditer(text):
                yield Found("name", match.start(), match.end(), 0.9)


def _parts(name: str) -> list[str]:
    """Return the words of a name without accents; of a single letter nothing is made."""
    plain = unicodedata.normalize("NFKD", name[:LONGEST])
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    parts = re.findall(r"\w+", unicodedata.normalize("NFC", plain).lower())
    return parts if len("".join(parts)) > 1 else []


def _any_case(part: str) -> str:
    return "".join(f"[{''.join(sorted(_variants(one)))}]" for one in part)


def _capital(part: str) -> str:
    first = {one for one in _variants(part[0]) if not one.islower()}
    return f"[{''.join(sorted(first))}]{_any_case(part[1:])}"


def _bounded(pattern: str) -> str:
    return pattern if _SPACELESS.search(pattern) else rf"(?<!\w){pattern}(?!\w)"


def _variants(letter: str) -> set[str]:
    """Return a letter in both cases, with and without accents."""
    return {letter, letter.upper()[:1], *_accented().get(letter, ())}


@lru_cache(maxsize=1)
def _accented() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for code in (*range(0xC0, 0x250), *range(0x386, 0x482), *range(0x1E00, 0x2000)):
        base = unicodedata.normalize("NFD", chr(code))[0].lower()
        found.setdefault(base, set()).add(chr(code))
    return found
