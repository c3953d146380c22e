"""What a policy says, and what becomes of hits by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsInvalid
from safety.checks import Check
from safety.policy import SAME, Checks, Policies, TenantPolicy, differences, merged
from safety.verdict import Action, Direction, Hit, Severity

SHIPPED = Policies.load().general


def written(folder: Path, text: str) -> Path:
    """Return a file with this text."""
    path = folder / "policy.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("direction", "check", "severity", "action"),
    [
        ("input", "injection", "high", "block"),
        ("input", "injection", "medium", "warn"),
        ("input", "pii", "high", "warn"),
        ("output", "pii", "high", "redact"),
        ("output", "pii", "low", "warn"),
        ("output", "credentials", "critical", "redact"),
        ("tool_arguments", "credentials", "high", "block"),
        ("document", "untrusted", "high", "warn"),
        ("output", "a check of tomorrow", "critical", "block"),
    ],
)
def test_the_shipped_policy(
    direction: Direction, check: str, severity: Severity, action: Action
) -> None:
    """By severity, unless the check or the direction says otherwise."""
    assert SHIPPED.action(direction, check, Hit("x", severity)) == action


def test_a_kind_may_be_rated_otherwise_or_ignored(tmp_path: Path) -> None:
    """A tenant decides how bad something is; what it ignores leaves no trace."""
    file = written(
        tmp_path,
        "checks: {pii: {kinds: {email: critical, phone: ignore}}, toxic: {enabled: false}}",
    )
    policy = Policies.load(file).general
    assert policy.action("output", "pii", Hit("email", "low")) == "block"
    assert policy.action("output", "pii", Hit("phone", "medium")) is None
    assert policy.action("output", "pii", Hit("iban", "high")) == "redact"
    assert policy.action("output", "toxic", Hit("slur", "critical")) is None


def test_what_a_tenant_writes_comes_before_what_holds_for_all(tmp_path: Path) -> None:
    """Key by key; the rest is as in the file, and what the file leaves out as it is shipped."""
    text = """
version: 7
checks: {links: {hosts: [example.com]}}
tenants:
  acme:
    version: 8
    checks: {links: {from_sources: false}}
    refusals: {en: {injection: Not with us.}}
"""
    policies = Policies.load(written(tmp_path, text))
    acme, other = policies.of("acme"), policies.of("other")
    assert acme.checks.links.hosts == other.checks.links.hosts == ("example.com",)
    assert (acme.checks.links.from_sources, other.checks.links.from_sources) == (False, True)
    assert acme.refusal("injection", "en") == "Not with us."
    assert acme.refusal("harmful", "en") == other.refusal("harmful", "en") is not None
    assert acme.refusal("injection", "fr") == SHIPPED.refusal("injection", "fr")


def test_every_word_changes_the_version(tmp_path: Path) -> None:
    """A decision names the exact policy, also when nobody raised its number."""
    again = Policies.load(written(tmp_path, "{}")).general
    assert again.digest == SHIPPED.digest
    longer = Policies.load(written(tmp_path, "retention_days: 91")).general
    assert longer.version == SHIPPED.version
    assert longer.digest != SHIPPED.digest
    assert differences(SHIPPED, longer) == [("retention_days", "90", "91")]
    assert differences(SHIPPED, SHIPPED) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("checks: {injection: {blok_rate: 0.1}}", "checks.injection.blok_rate: Extra inputs"),
        ("checks: {injection: {block_rate: 0.05, warn_rate: 0.01}}", "warn of less than it blocks"),
        ("checks: {injection: {block_rate: 0.9}}", "checks.injection.block_rate"),
        ("actions: {low: shout}", "actions.low"),
        ("tenants: {acme: {retention_days: 0}}", "tenants.acme.retention_days"),
        ("tenants: [acme]", "tenants: has to be a mapping"),
        ("checks: {pii: {regions: [usa]}}", "checks.pii.regions"),
        ("- a list", "is no mapping"),
        ("a: [", "neither YAML nor JSON"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """At the start, with the place."""
    with pytest.raises(SettingsInvalid) as caught:
        Policies.load(written(tmp_path, text))
    assert says in caught.value.message
    assert "SAFETY_POLICY_FILE" in caught.value.message


def test_every_severity_needs_an_action() -> None:
    """A policy that forgets one would let it pass."""
    with pytest.raises(ValueError, match="nothing is said about critical"):
        TenantPolicy(version=1, actions={"low": "warn", "medium": "warn", "high": "redact"})


def test_the_policy_knows_every_check(guard_checks: dict[Direction, tuple[Check, ...]]) -> None:
    """What runs can be configured, and what can be configured runs."""
    running = {check.name for some in guard_checks.values() for check in some}
    assert {SAME.get(name, name) for name in running} | {"invisible"} == set(Checks.model_fields)


def test_lists_are_replaced_and_mappings_merged() -> None:
    """So that a list can be made shorter."""
    base = {"a": {"b": [1, 2], "c": 3}, "d": 4}
    assert merged(base, {"a": {"b": [5]}}) == {"a": {"b": [5], "c": 3}, "d": 4}
    assert merged(base, None) == base
