"""What may run, what a person decides, what is denied: rules that an operator can read.

The rules of the file decide first. Then come floors that no file can lower: what text by
strangers may have led to needs a person, and where private data was read as well, nothing
is sent outside (docs/decisions/0021).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field, field_validator
from referencing import Registry as NoReferences
from referencing.exceptions import Unresolvable

from core.files import Closed, read
from tools.tool import Arguments, Declaration, Effect

DEFAULT_POLICY = Path(__file__).with_suffix(".yaml")
VARIABLE = "TOOLS_POLICY_FILE"
VERSION_DIGITS = 16

Decision = Literal["run", "approve", "deny"]
Minutes = Annotated[float, Field(gt=0, le=60 * 24 * 30)]
Quorum = Annotated[int, Field(ge=1, le=20)]


class Asking(Closed):
    """How a person is asked, where a rule does not say otherwise."""

    quorum: Quorum = 1
    expires_minutes: Minutes = 60
    escalate_minutes: Minutes | None = 15


class Rule(Closed):
    """One rule: which calls it fits, and what becomes of them."""

    tools: tuple[str, ...] = ("*",)  # names, or patterns of names
    effects: frozenset[Effect] | None = None
    when: dict[str, Any] | None = None  # JSON Schema that the arguments fit
    decide: Decision
    because: str
    quorum: Quorum | None = None
    expires_minutes: Minutes | None = None
    escalate_minutes: Minutes | None = None

    @field_validator("when")
    @classmethod
    def _is_schema(cls, when: dict[str, Any] | None) -> dict[str, Any] | None:
        if when is not None:
            try:
                Draft202012Validator.check_schema(when)
            except SchemaError as error:
                raise ValueError(f"is no JSON Schema: {error.message}") from error
            for target in _references(when):
                if not target.startswith("#"):
                    raise ValueError(f"refers to {target}, and nothing is fetched")
        return when

    def fits(self, tool: str, declaration: Declaration, arguments: Arguments) -> bool:
        """Return whether this rule is about such a call."""
        if not matches(tool, self.tools):
            return False
        if self.effects is not None and declaration.effect not in self.effects:
            return False
        return self.when is None or _fits(self.when, arguments)


class TenantRules(Closed):
    """What holds for one tenant before what holds for all."""

    allow: tuple[str, ...] = ("*",)  # tools that there are for it
    rules: tuple[Rule, ...] = ()


class PolicyFile(Closed):
    """A policy as an operator writes it."""

    trusted_documents: tuple[str, ...] = ()
    egress_after_private: Literal["deny", "approve"] = "deny"
    approval: Asking = Asking()
    most_per_turn: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    rules: tuple[Rule, ...]
    tenants: dict[str, TenantRules] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the policy knows about a turn besides the call."""

    tenant_id: str
    tainted: bool = False  # the model has seen text by strangers
    private: bool = False  # it has seen what is the tenant's or the user's own
    made: Mapping[str, int] | None = None  # calls of this turn so far, by tool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to happen with a call, and why."""

    decision: Decision
    rule: str  # for people
    version: str  # of the policy
    quorum: int
    expires_seconds: float
    escalate_seconds: float | None


class Policy:
    """Judges calls. Its version changes with every word of the file."""

    def __init__(self, file: PolicyFile) -> None:
        self._file = file
        content = json.dumps(file.model_dump(mode="json"), sort_keys=True)
        self.version = hashlib.sha256(content.encode()).hexdigest()[:VERSION_DIGITS]

    @classmethod
    def load(cls, path: Path | None = None) -> Policy:
        """Read a file, by default the one that comes with Parley; raises SettingsInvalid."""
        return cls(read(path or DEFAULT_POLICY, PolicyFile, VARIABLE))

    def trusts(self, uri: str) -> bool:
        """Return whether a document's text counts as our own."""
        return matches(uri, self._file.trusted_documents)

    def offers(self, tool: str, tenant_id: str) -> bool:
        """Return whether a tool exists for a tenant."""
        tenant = self._file.tenants.get(tenant_id)
        return tenant is None or matches(tool, tenant.allow)

    def judge(
        self,
        tool: str,
        declaration: Declaration | None,
        arguments: Arguments,
        situation: Situation,
    ) -> Judgement:
        """Return what is to happen with a call; declaration None: there is no such tool."""
        if declaration is None:
            return self._judgement("deny", "Nobody has declared what this tool does.")
        if not self.offers(tool, situation.tenant_id):
            return self._judgement("deny", "This tool is not allowed here.")
        if self._made_too_often(tool, situation):
            return self._judgement("deny", "This tool has been used often enough in this turn.")
        tenant = self._file.tenants.get(situation.tenant_id, TenantRules())
        try:
            for rule in (*tenant.rules, *self._file.rules):
                if rule.fits(tool, declaration, arguments):
                    found = self._judgement(rule.decide, rule.because, rule)
                    return self._floor(found, declaration, situation)
        except (Unresolvable, RecursionError):
            # Passing it over could pass over a denial.
            return self._judgement("deny", "A rule of the policy cannot be applied.")
        return self._judgement("deny", "No rule allows it.")

    def about_outcome(self) -> Judgement:
        """Return how a person is asked about a call of which nobody knows whether it happened."""
        return self._judgement("approve", "Nobody knows whether this has happened.")

    def _floor(self, found: Judgement, declaration: Declaration, situation: Situation) -> Judgement:
        """Return a judgement that is at least as strict as what was read demands."""
        if found.decision == "deny" or not situation.tainted:
            return found
        private = situation.private or declaration.reads_private
        goes_outside = declaration.effect == "external" or bool(declaration.hosts)
        if private and goes_outside:
            rule = "Text by strangers and private data were read, and it talks to the outside."
            return replace(found, decision=self._file.egress_after_private, rule=rule)
        if declaration.effect != "none" and found.decision == "run":
            rule = "Text by strangers may have led to it."
            return replace(found, decision="approve", rule=rule)
        return found

    def _made_too_often(self, tool: str, situation: Situation) -> bool:
        made = situation.made or {}
        for pattern, most in self._file.most_per_turn.items():
            if fnmatchcase(tool, pattern):
                count = sum(n for name, n in made.items() if fnmatchcase(name, pattern))
                if count >= most:
                    return True
        return False

    def _judgement(self, decision: Decision, why: str, rule: Rule | None = None) -> Judgement:
        asking = self._file.approval
        quorum = (rule and rule.quorum) or asking.quorum
        expires = (rule and rule.expires_minutes) or asking.expires_minutes
        escalate = (rule and rule.escalate_minutes) or asking.escalate_minutes
        return Judgement(
            decision=decision,
            rule=why,
            version=self.version,
            quorum=quorum,
            expires_seconds=expires * 60,
            escalate_seconds=None if escalate is None else escalate * 60,
        )


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the patterns, as of a shell, fits the whole name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _fits(schema: Mapping[str, Any], arguments: Arguments) -> bool:
    """Return whether arguments fit; raises Unresolvable or RecursionError where nobody can tell."""
    validator = Draft202012Validator(schema, registry=NoReferences())
    return bool(validator.is_valid(arguments))


def _references(schema: Any) -> Iterator[str]:
    """Yield what a schema refers to, wherever it does."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
