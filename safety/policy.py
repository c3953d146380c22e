"""What is checked, how strictly, and what becomes of it: a file that an operator can read.

The general part holds for every tenant; what a tenant writes replaces it, key by key. A policy's
version is the number that its author gave it and a digest of all it says, so a decision names the
exact words it was taken under.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from core.errors import SettingsInvalid
from core.files import Closed, parse, validated
from safety.verdict import Action, Direction, Hit, Severity

DEFAULT_POLICY = Path(__file__).with_suffix(".yaml")
VARIABLE = "SAFETY_POLICY_FILE"
DIGITS = 12
SAME = {"presidio": "pii"}  # checks that are used as another one is
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

# The thresholds of the classifiers are recorded for rates within these.
Rate = Annotated[float, Field(ge=0.001, le=0.05)]
Name = Annotated[str, Field(min_length=1)]
Actions = dict[Severity, Action | Literal["ignore"]]


class Rule(Closed):
    """How one check is used."""

    enabled: bool = True
    where: dict[Direction, Actions] = Field(default_factory=dict)  # other actions there
    actions: Actions = Field(default_factory=dict)  # other than the general ones
    kinds: dict[str, Severity | Literal["ignore"]] = Field(default_factory=dict)  # of what it sees


class Rated(Rule):
    """A classifier, whose thresholds are stated as the share of harmless texts that they hit."""

    block_rate: Rate = 0.005  # severity high from there on
    warn_rate: Rate = 0.05  # severity medium

    @model_validator(mode="after")
    def _ordered(self) -> Rated:
        if self.block_rate > self.warn_rate:
            raise ValueError("block_rate is above warn_rate: it would warn of less than it blocks")
        return self


class Scope(Rule):
    """What the assistant is there for; nothing written: everything."""

    about: tuple[Name, ...] = ()  # sentences or questions, as users would ask them
    least: Annotated[float, Field(ge=-1, le=1)] = 0.25  # likeness of a text that belongs to it


class Blocked(Closed):
    """Words or phrases that a tenant does not want."""

    words: tuple[Name, ...]  # whole words, whatever their case
    severity: Severity = "high"
    name: str = "blocklist"  # as findings show it; the words themselves they do not show


class Blocklist(Rule):
    """What else must not be said, in either direction."""

    lists: tuple[Blocked, ...] = ()


class Pii(Rule):
    """Personal data."""

    regions: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ("US",)  # of phone numbers
    presidio: bool = False  # ask Presidio as well, if it is installed


class Links(Rule):
    """Links and images in answers."""

    hosts: tuple[Name, ...] = ()  # that may be linked to, their subdomains included
    from_sources: bool = True  # links that stand in what the answer rests on may be repeated


class Checks(Closed):
    """Every check there is. One that is left out works as it does by default."""

    invisible: Rule = Rule()
    injection: Rated = Rated()
    harmful: Rated = Rated()
    scope: Scope = Scope()
    blocklist: Blocklist = Blocklist()
    untrusted: Rated = Rated()
    pii: Pii = Pii()
    credentials: Rule = Rule()
    encoded: Rule = Rule()
    links: Links = Links()
    code: Rule = Rule()
    toxic: Rule = Rule()
    prompt_leak: Rule = Rule()


class Masking(Closed):
    """Who gets placeholders such as <EMAIL_1> in place of personal data."""

    model: Literal["never", "hosted", "always"] = "hosted"  # hosted: to models of other companies
    traces: bool = True  # Langfuse gets marks in place of it
    restore: frozenset[Literal["answer", "tools"]] = frozenset({"answer", "tools"})
    reversible: bool = True  # False: only a digest of the value is kept, and nothing is restored


class TenantPolicy(Closed):
    """What holds for one tenant."""

    version: int = Field(ge=1)  # raised by whoever changes the file
    actions: Actions
    checks: Checks = Checks()
    masking: Masking = Masking()
    refusals: dict[str, dict[str, Name]] = Field(default_factory=dict)  # language, check: text
    retention_days: Annotated[int, Field(ge=1)] = 90  # of findings in the turn log

    @field_validator("actions")
    @classmethod
    def _complete(cls, actions: Actions) -> Actions:
        if missing := [one for one in SEVERITIES if one not in actions]:
            raise ValueError(f"nothing is said about {', '.join(missing)}")
        return actions

    @property
    def digest(self) -> str:
        """Return the version and a digest of every word, as decisions carry it."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return f"{self.version}-{hashlib.sha256(content.encode()).hexdigest()[:DIGITS]}"

    def rule(self, check: str) -> Rule:
        """Return how a check is used; one that the policy does not know is used as by default."""
        found: Rule = getattr(self.checks, SAME.get(check, check), Rule())
        return found

    def rated(self, check: str) -> Rated:
        """Return how a classifier is used."""
        rule = self.rule(check)
        return rule if isinstance(rule, Rated) else Rated()

    def action(self, direction: Direction, check: str, hit: Hit) -> Action | None:
        """Return what becomes of a hit; None where the policy does not want to know."""
        rule = self.rule(check)
        severity = rule.kinds.get(hit.kind, hit.severity)
        if not rule.enabled or severity == "ignore":
            return None
        for actions in (rule.where.get(direction, {}), rule.actions, self.actions):
            if (found := actions.get(severity)) is not None:
                return None if found == "ignore" else found
        return None

    def masks(self, *, hosted: bool) -> bool:
        """Return whether a model gets placeholders; hosted: it is another company's."""
        return self.masking.model == "always" or (hosted and self.masking.model == "hosted")

    def refusal(self, name: str, language: str) -> str | None:
        """Return the text of a refusal in a language, if the policy has one."""
        return self.refusals.get(language, {}).get(name)


class Policies:
    """The policies of all tenants."""

    def __init__(self, general: TenantPolicy, tenants: Mapping[str, TenantPolicy]) -> None:
        self.general = general
        self.tenants = dict(tenants)

    @classmethod
    def load(cls, path: Path | None = None) -> Policies:
        """Read a file, by default the one that comes with Parley; raises SettingsInvalid.

        What a file does not say is as in the one that comes along.
        """
        base = _mapping(DEFAULT_POLICY)
        own = _mapping(path) if path is not None else {}
        tenants = own.pop("tenants", {})
        if not isinstance(tenants, dict):
            raise SettingsInvalid(f"{VARIABLE}: {path}: tenants: has to be a mapping")
        base.pop("tenants", None)
        general = merged(base, own)
        return cls(
            _read(general, path, ""),
            {
                str(name): _read(merged(general, changes), path, f"tenants.{name}.")
                for name, changes in tenants.items()
            },
        )

    @property
    def all(self) -> tuple[TenantPolicy, ...]:
        """Return the general policy, then those of tenants."""
        return (self.general, *self.tenants.values())

    def of(self, tenant_id: str) -> TenantPolicy:
        """Return what holds for a tenant."""
        return self.tenants.get(tenant_id, self.general)


def merged(base: Mapping[str, Any], changes: Any) -> dict[str, Any]:
    """Return a mapping with changes made to it, key by key at every depth; lists are replaced."""
    found = dict(base)
    for name, value in (changes or {}).items():
        known = found.get(name)
        nested = isinstance(known, dict) and isinstance(value, dict)
        found[name] = merged(known, value) if nested and known is not None else value
    return found


def differences(old: TenantPolicy, new: TenantPolicy) -> list[tuple[str, str, str]]:
    """Return what differs, as (place, old value, new value); "" where there is none."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    return [
        (place, before.get(place, ""), after.get(place, ""))
        for place in sorted({*before, *after})
        if before.get(place) != after.get(place)
    ]


def _flat(value: Any, place: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= _flat(inner, f"{place}.{name}" if place else str(name))
        return found
    return {place: json.dumps(sorted(value) if isinstance(value, list) else value)}


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = parse(path)
    except ValueError as error:
        raise SettingsInvalid(f"{VARIABLE}: {error}") from error
    if not isinstance(found, dict):
        raise SettingsInvalid(f"{VARIABLE}: {path} is no mapping")
    return found


def _read(content: dict[str, Any], path: Path | None, place: str) -> TenantPolicy:
    return validated(content, TenantPolicy, f"{VARIABLE}: {path or DEFAULT_POLICY}: {place}")
