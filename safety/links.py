"""Links and images in an answer that lead to hosts nobody listed.

A picture is fetched without a click, and a link carries whatever stands in its address: both take
what the model has read to whoever put an instruction into a document. So an address stays only
where its host is listed, or, as a link and never as a picture, where it stands in the same letters
in a text of the turn.

A listed `example.com` is that host and every host below it; `*.example.com` only those below.
Only http and https can be listed. Not found: host names without `www.` or a scheme, which few
programs make links of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from safety.units import SPACELESS
from safety.verdict import Hit, apart

_LINK, _IMAGE = "[link removed]", "[image removed]"
# A host behind two slashes, so that a comment in code is none.
_HOST = r"(?:[^\s/\\.:?#\"'<>()]{1,63}\.){1,8}[^\W\d_]{2,24}\.?(?=[/\\:?#\"'<>()\s\]]|\Z)"
_ADDRESS = re.compile(
    r"(?:(?<![^\W_])(?:https?:[\\/]{0,3}(?=[^\s\\/])|(?:ftps?|wss?|file):[\\/]{2,3}"
    r"|(?:javascript|vbscript|livescript):(?=\S)|data:[\w.+-]{0,40}/?[\w.+-]{0,80}[;,]"
    r"|mailto:(?=[^\s?]{0,100}\?))"
    rf"|(?<![:\w/\\])[\\/]{{2}}(?={_HOST})"
    r"|(?<![\w.@/\\-])www\.(?=[^\s/.]{1,63}\.))"
    rf"[^\s<>\"'`{{}}|^{SPACELESS}]*",
    re.IGNORECASE,
)
# The target of a link in Markdown, with its title.
_TARGET = re.compile(
    r"\]\(\s{0,3}<?(?P<to>[^\s<>()]{0,2000}(?:\([^\s<>()]{0,500}\)[^\s<>()]{0,500}){0,3})>?"
    r"(?P<title>\s{1,3}(?:\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'))?\s{0,3}\)"
)
_AUTOLINK = re.compile(r"<(?P<to>[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]{1,2000})>?")
_RELATIVE = re.compile(r"(?![\\/]{2})[#?]?[\w./~-]*(?:[?#][\w./=-]*)?\Z")
_HARMLESS = re.compile(r"(?:mailto:[^\s?]*|tel:[\d+().-]*|[\w.+-]+@[\w.-]+)\Z", re.IGNORECASE)
_BRACKET = re.compile(r"!?\[[^\[\]]*\Z")
# What is fetched without a click: by a tag, or by a style.
_FETCHES = re.compile(
    r"<(?!a\b)[A-Za-z][^<>]{0,400}\Z"
    r"|(?:src|srcset|poster|background|data|url)\s{0,2}[=(]\s{0,2}[\"']?\Z",
    re.IGNORECASE,
)
_TAGS = r"img|image|picture|source|video|audio|track|iframe|frame|embed|object|script|link|svg|use"
_HINT = re.compile(r"[:\\]\S|//|\]\(|www\.", re.IGNORECASE)
_PARTS = re.compile(r"(?:(?P<scheme>[A-Za-z][\w+.-]*):)?[\\/]*(?P<place>[^\\/?#]*)")


class Links:
    """Finds addresses off the list; see Detector."""

    name = "links"
    opens = re.compile(
        r"!?\[[^\[\]\n]{0,200}(?:\](?:\(\s{0,3}"
        r"(?:[^\s()]{1,400}\s{1,3}(?:\"[^\"\n]{0,100}\"?|'[^'\n]{0,100}'?)?\s{0,3})?)?)?\Z"
        rf"|<(?:{_TAGS}|[iI][mM][gG]|IFRAME|SCRIPT)\s[^<>]{{0,300}}\Z"
        r"|(?:src|srcset|poster|url)\s{0,2}[=(]?\s\Z"
    )

    def __init__(self, hosts: Sequence[str], sources: Sequence[str] = ()) -> None:
        """hosts: allowed, as above. sources: texts of the turn whose links may be repeated."""
        named = [_ascii(host.removeprefix("*.")) for host in hosts if not host.startswith("*.")]
        self._hosts = frozenset(host for host in named if host)
        below = [_ascii(host.removeprefix("*.")) for host in hosts]
        self._below = tuple(f".{host}" for host in below if host)
        self._known = frozenset(
            _trimmed(match.group()) for text in sources for match in _ADDRESS.finditer(text)
        )

    def find(self, text: str) -> Sequence[Hit]:
        """Return each address that must not stand there; see Detector.find."""
        if not _HINT.search(text):
            return ()
        return apart(chain(self._targets(text), self._bare(text)))

    def _targets(self, text: str) -> Iterator[Hit]:
        for match in _TARGET.finditer(text):
            opening = _BRACKET.search(text, max(0, match.start() - 512), match.start())
            # Where the beginning is out of sight, it is taken for a picture.
            fetched = opening is None or opening.group().startswith("!")
            if not self._may_stand(match["to"], fetched=fetched):
                said = _IMAGE if fetched else _LINK
                yield _hit(match.start(), match.end(), f"] {said}", fetched=fetched)
        for match in _AUTOLINK.finditer(text):
            if not self._may_stand(match["to"], fetched=False):
                yield _hit(match.start("to"), match.end("to"), _LINK, fetched=False)

    def _bare(self, text: str) -> Iterator[Hit]:
        for match in _ADDRESS.finditer(text):
            address = _trimmed(match.group())
            fetched = bool(_FETCHES.search(text, max(0, match.start() - 400), match.start()))
            if not self._may_stand(address, fetched=fetched):
                start = match.start()
                said = _IMAGE if fetched else _LINK
                yield _hit(start, start + len(address), said, fetched=fetched)

    def _may_stand(self, address: str, *, fetched: bool) -> bool:
        if _RELATIVE.match(address) and not address.lower().startswith("www."):
            return True
        if _HARMLESS.match(address) and not fetched:
            return True
        return self._is_listed(address) or (not fetched and _trimmed(address) in self._known)

    def _is_listed(self, address: str) -> bool:
        parts = _PARTS.match(address)
        if parts is None or (parts["scheme"] or "https").lower() not in ("http", "https"):
            return False
        place = parts["place"]
        # "https://listed@other" and its relatives: what programs make of these differs.
        if "@" in place or "%" in place or "\\" in address:
            return False
        host = _ascii(re.sub(r":\d{0,5}\Z", "", place))
        return bool(host) and (host in self._hosts or host.endswith(self._below))


def _trimmed(address: str) -> str:
    """Return an address without the punctuation of the sentence around it."""
    while address:
        last = address[-1]
        unpaired = (last == ")" and address.count("(") < address.count(")")) or (
            last == "]" and address.count("[") < address.count("]")
        )
        if not unpaired and last not in ".,;:!?*_~":
            break
        address = address[:-1]
    return address


def _ascii(host: str) -> str:
    """Return a host as it is asked for: lower case, in Punycode; empty when it cannot be."""
    host = host.rstrip(".")
    try:
        return host.lower() if host.isascii() else host.encode("idna").decode().lower()
    except UnicodeError:
        return ""


def _hit(start: int, end: int, said: str, *, fetched: bool) -> Hit:
    return Hit("image" if fetched else "link", "high", start, end, said)
