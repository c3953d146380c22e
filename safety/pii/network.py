"""Addresses in networks: mail, IP, MAC, wallets, and pages where they are asked for."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from safety.pii.checksums import base58check, bech32
from safety.pii.found import Found
from safety.pii.labels import FILLER, SPACELESS, WORD, words

_LOCAL = re.compile(rf"{WORD}(?:{WORD}|[.+%'~-]){{0,254}}\Z")
_LETTER = rf"[^\W\d_{SPACELESS}]"
_DOMAIN = re.compile(
    rf"(?:{WORD}(?:(?:{WORD}|-){{0,61}}{WORD})?\.){{1,8}}(?:{_LETTER}{{2,24}}|xn--[A-Za-z0-9-]{{2,59}})"
    rf"(?!{WORD})"
)
_LONGEST = 256  # characters before the @
# icon@2x.png and its like are pictures
_FILES = frozenset(("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "map"))

_DOTS = re.compile(r"\d\.\d{1,3}\.\d")
_IPV4 = re.compile(
    r"(?<![\w.])(?<!\w[-_])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}"
    r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?!\w)(?!\.\d)(?!-\w)(?!%)"
)
# An address, but of nobody.
_NOBODY = re.compile(r"127\.0\.0\.1|0\.0\.0\.0|255\.255\.")
DOTTED = (
    "version* ver v release* rev revision build* section* sec chapter* clause* article* "
    "figure fig table paragraph step item oid firmware driver kernel"
)
"""What announces a number with dots that is no address."""
_NUMBERED = re.compile(rf"(?:{words(DOTTED)}|§){FILLER}\Z")
_VERSION = 40  # characters of a label and what stands behind it
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:.]{3,46}(?!\w)")
_PAIRS = re.compile(r"[0-9A-Fa-f]{2}[:.-][0-9A-Fa-f]{2}[0-9A-Fa-f:.-]{6}")
_MAC = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w:-])"
)
_WALLET = re.compile(
    r"(?:[13](?<![^\W_].)[1-9A-HJ-NP-Za-km-z]{25,34}|[bl](?<![^\W_].)t?c1[02-9ac-hj-np-z]{11,71}"
    r"|[BL](?<![^\W_].)T?C1[02-9AC-HJ-NP-Z]{11,71}|0(?<![^\W_].)x[0-9A-Fa-f]{40})(?![^\W_])"
)
_URL = re.compile(r"(?i)(?<![^\W_])(?:https?://|ftp://|www\.(?=\w))[^\s<>\"`|\\^]{1,2000}")
_TRAILING = ".,;:!?'*_)]}"


def addresses(text: str) -> Iterator[Found]:
    """Yield the addresses of machines and wallets in a folded text; some overlap."""
    if _DOTS.search(text):
        for match in _IPV4.finditer(text):
            before = max(0, match.start() - _VERSION)
            if not _NOBODY.match(match[0]) and not _NUMBERED.search(text, before, match.start()):
                yield Found("ip_address", match.start(), match.end())
    if text.count(":") > 1:
        yield from _ipv6(text)
    if _PAIRS.search(text):
        for match in _MAC.finditer(text):
            yield Found("mac_address", match.start(), match.end())
    for match in _WALLET.finditer(text):
        code = match[0]
        if code.startswith("0x") or (
            base58check(code) if code[0] in "13" else bech32(code.lower())
        ):
            yield Found("crypto_wallet", match.start(), match.end())


def urls(text: str) -> Iterator[Found]:
    """Yield the addresses of pages, without the punctuation of the sentence around them."""
    for match in _URL.finditer(text):
        end = match.end()
        while text[end - 1] in _TRAILING and not (
            text[end - 1] == ")"
            and text.count("(", match.start(), end) >= text.count(")", match.start(), end)
        ):
            end -= 1
        yield Found("url", match.start(), end)


def emails(text: str) -> Iterator[Found]:
    """Yield the addresses of mailboxes in a folded text."""
    done = 0
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        local = domain and _LOCAL.search(text[max(done, at - _LONGEST) : at])
        if domain and local and domain[0].rpartition(".")[2].lower() not in _FILES:
            start = at - len(local[0])
            # git@host:path is a place, not a person.
            if not (local[0] == "git" and text[domain.end() : domain.end() + 1] == ":"):
                yield Found("email", start, domain.end())
                done = domain.end()
        at = text.find("@", at + 1)


def _ipv6(text: str) -> Iterator[Found]:
    for match in _IPV6.finditer(text):
        one = match[0].rstrip(".")
        if one.endswith(":") and not one.endswith("::"):
            one = one[:-1]
        # "dead::beef" without a digit is rather a name in a program.
        if ("::" in one or one.count(":") == 7) and any(map(str.isdecimal, one)) and one != "::1":
            try:
                ipaddress.IPv6Address(one)
            except ValueError:
                continue
            yield Found("ip_address", match.start(), match.start() + len(one))
