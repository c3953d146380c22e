"""What is found by its form: the detectors that a policy asks for, for one text or one stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from safety.code import Code
from safety.credentials import Credentials
from safety.encoded import Encoded
from safety.leak import Leak
from safety.links import Links
from safety.pii import Pii
from safety.policy import Blocked, TenantPolicy
from safety.presidio import Presidio
from safety.toxic import Toxic
from safety.verdict import About, Detector, Hit, apart

BLOCKLIST = "blocklist"
CODE = Code()
ENCODED = Encoded([Credentials()])
MOST_BLANKS = 4  # between the words of a phrase

Form = Callable[[TenantPolicy, About], Detector | None]
"""Makes a detector; None where there is nothing to look for."""


class Blocklist:
    """Words and phrases that a tenant does not want, whatever their case."""

    name = BLOCKLIST

    def __init__(self, lists: Sequence[Blocked]) -> None:
        self._lists = [(one, _whole(one.words)) for one in lists]
        phrases = [word for one in lists for word in one.words if len(word.split()) > 1]
        self.opens = _beginning(phrases) if phrases else None

    def find(self, text: str) -> Sequence[Hit]:
        """Return each word of each list."""
        found: list[Hit] = []
        for one, pattern in self._lists:
            for match in pattern.finditer(text):
                found.append(Hit(one.name, one.severity, match.start(), match.end()))
        return apart(found)


def _whole(words: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern for whole words; blanks in a phrase may be any."""
    parts = (_spaced(word.split()) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)


def _beginning(phrases: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern for a text that ends with the first words of a phrase."""
    heads: list[str] = []
    for phrase in phrases:
        words = phrase.split()
        heads += [_spaced(words[:n]) for n in range(1, len(words))]
    return re.compile(rf"(?<!\w)(?:{'|'.join(heads)})\s{{0,{MOST_BLANKS}}}\Z", re.IGNORECASE)


def _spaced(words: Sequence[str]) -> str:
    return rf"\s{{1,{MOST_BLANKS}}}".join(map(re.escape, words))


@lru_cache(maxsize=64)
def _blocklist(lists: tuple[Blocked, ...]) -> Blocklist | None:
    return Blocklist(lists) if lists else None


_leak = lru_cache(maxsize=64)(Leak)  # the same instructions are protected turn after turn


@lru_cache(maxsize=256)
def _pii(regions: tuple[str, ...], names: tuple[str, ...]) -> Pii:
    return Pii(regions=regions, names=names)


def _presidio(policy: TenantPolicy, about: About) -> Detector | None:
    return presidio() if policy.checks.pii.presidio else None


@lru_cache(maxsize=1)
def presidio() -> Presidio:
    """Return Presidio's recognisers, made once: that takes seconds; raises SettingsInvalid."""
    return Presidio.build()


def _links(policy: TenantPolicy, about: About) -> Links:
    rule = policy.checks.links
    return Links(rule.hosts, about.sources if rule.from_sources else ())


FORMS: Mapping[str, Form] = {
    BLOCKLIST: lambda policy, about: _blocklist(policy.checks.blocklist.lists),
    "pii": lambda policy, about: _pii(policy.checks.pii.regions, about.names),
    "credentials": lambda policy, about: Credentials(),
    "presidio": _presidio,
    "encoded": lambda policy, about: ENCODED,
    "links": _links,
    "code": lambda policy, about: CODE,
    "toxic": lambda policy, about: Toxic.load(),
    "prompt_leak": lambda policy, about: _leak(about.protected) if about.protected else None,
}


SLOW = frozenset({"presidio"})  # they see whole texts only


def detectors(policy: TenantPolicy, about: About) -> list[Detector]:
    """Return the detectors of a stream, those that the policy has switched off left out."""
    used = (name for name in FORMS if name not in SLOW and policy.rule(name).enabled)
    made = (FORMS[name](policy, about) for name in used)
    return [detector for detector in made if detector is not None]
