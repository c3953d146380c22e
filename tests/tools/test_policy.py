"""What may run, what a person decides, what is denied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsInvalid
from tools.policy import Judgement, Policy, PolicyFile, Situation
from tools.tool import Declaration

READS = Declaration("none", "pure")
READS_PRIVATE = Declaration("none", "pure", reads_private=True)
FETCHES = Declaration("none", "pure", reads_untrusted=True, hosts=frozenset({"*"}))
WRITES = Declaration("internal_write", "keyed")
SENDS = Declaration("external", "none")
HERE = Situation("default")
TAINTED = Situation("default", tainted=True)
BOTH = Situation("default", tainted=True, private=True)
SHIPPED = Policy.load()


def policy(*rules: dict[str, Any], **more: Any) -> Policy:
    """Return a policy of these rules; each is explained."""
    written = [{"because": f"rule {number}", **rule} for number, rule in enumerate(rules)]
    return Policy(PolicyFile.model_validate({"rules": written, **more}))


def judge(
    of: Policy,
    tool: str = "refund_order",
    declaration: Declaration | None = WRITES,
    situation: Situation = HERE,
    **arguments: Any,
) -> Judgement:
    """Return what a policy says about a call."""
    return of.judge(tool, declaration, arguments, situation)


@pytest.mark.parametrize(
    ("tool", "declaration", "arguments", "decision", "quorum"),
    [
        ("look_up_order", READS, {}, "run", 1),
        ("open_ticket", WRITES, {}, "run", 1),
        ("cancel_order", WRITES, {}, "approve", 1),
        ("mail__send", SENDS, {}, "approve", 1),
        ("refund_order", WRITES, {"cents": 2000}, "run", 1),
        ("refund_order", WRITES, {"cents": 2001}, "approve", 1),
        ("refund_order", WRITES, {"cents": 50_000}, "approve", 1),
        ("refund_order", WRITES, {"cents": 50_001}, "approve", 2),
        ("refund_order", WRITES, {}, "approve", 1),
        ("unheard_of", None, {}, "deny", 1),
    ],
)
def test_the_shipped_policy(
    tool: str,
    declaration: Declaration | None,
    arguments: dict[str, Any],
    decision: str,
    quorum: int,
) -> None:
    """Reading, tickets and small refunds run, effects are asked about, the unknown is denied."""
    found = SHIPPED.judge(tool, declaration, arguments, HERE)
    assert (found.decision, found.quorum) == (decision, quorum)
    assert found.rule
    assert (found.expires_seconds, found.escalate_seconds) == (3600, 900)


def test_the_first_rule_that_fits_decides() -> None:
    """By name, by pattern, by effect, by arguments; one that does not fit is passed over."""
    of = policy(
        {"tools": ["cancel_*"], "decide": "deny"},
        {"effects": ["external"], "decide": "approve"},
        {"when": {"required": ["cents"]}, "decide": "run"},
        {"tools": ["refund_order"], "decide": "approve"},
    )
    assert judge(of, "cancel_order").rule == "rule 0"
    assert judge(of, declaration=SENDS).rule == "rule 1"
    assert judge(of, cents=1).rule == "rule 2"
    assert judge(of).rule == "rule 3"
    nothing = judge(of, "other")
    assert (nothing.decision, nothing.rule) == ("deny", "No rule allows it.")


@pytest.mark.parametrize("schema", [{"$ref": "#/nowhere"}, {"allOf": [{"$ref": "#"}]}])
def test_a_schema_that_cannot_be_applied_denies(schema: dict[str, Any]) -> None:
    """A policy that cannot be read to its end allows nothing that comes after that place."""
    of = policy({"when": schema, "decide": "deny"}, {"decide": "run"})
    found = judge(of)
    assert (found.decision, found.rule) == ("deny", "A rule of the policy cannot be applied.")


def test_a_rule_says_how_people_are_asked() -> None:
    """Its own quorum and times, else those of the file, else those of the product."""
    rule = {"decide": "approve", "quorum": 3, "expires_minutes": 5, "escalate_minutes": 1}
    found = judge(policy(rule))
    assert (found.quorum, found.expires_seconds, found.escalate_seconds) == (3, 300, 60)
    asking = {"quorum": 2, "expires_minutes": 10, "escalate_minutes": None}
    found = judge(policy({"decide": "approve"}, approval=asking))
    assert (found.quorum, found.expires_seconds, found.escalate_seconds) == (2, 600, None)
    found = judge(policy({"decide": "approve"}))
    assert (found.quorum, found.expires_seconds, found.escalate_seconds) == (1, 3600, 900)


def test_a_tenant_has_its_own_tools_and_rules() -> None:
    """Its rules come first, its list of tools before them; others do not notice."""
    of = policy(
        {"decide": "approve"},
        tenants={
            "acme": {
                "allow": ["refund_order", "look_*"],
                "rules": [{"tools": ["refund_order"], "decide": "deny", "because": "Not at Acme."}],
            }
        },
    )
    acme = Situation("acme")
    assert judge(of, situation=acme).rule == "Not at Acme."
    assert judge(of, "look_up", situation=acme).decision == "approve"
    elsewhere = judge(of, "cancel_order", situation=acme)
    assert (elsewhere.decision, elsewhere.rule) == ("deny", "This tool is not allowed here.")
    assert judge(of).decision == "approve"
    assert [of.offers("cancel_order", tenant) for tenant in ("acme", "default")] == [False, True]


def test_what_strangers_wrote_asks_a_person() -> None:
    """With text by strangers in the turn an effect never runs by itself; reading still does."""
    of = policy({"decide": "run"})
    for declaration in (WRITES, SENDS):
        assert judge(of, declaration=declaration).decision == "run"
        assert judge(of, declaration=declaration, situation=TAINTED).decision == "approve"
    assert judge(of, declaration=READS, situation=TAINTED).decision == "run"
    assert judge(of, declaration=FETCHES, situation=TAINTED).decision == "run"


def test_private_text_does_not_leave_with_what_strangers_wrote() -> None:
    """Strangers' text, private text and a way out together: denied, or by the file asked about."""
    of = policy({"decide": "run"})
    for declaration in (SENDS, FETCHES):
        assert judge(of, declaration=declaration, situation=BOTH).decision == "deny"
    leaks = Declaration("none", "pure", reads_private=True, hosts=frozenset({"example.com"}))
    assert judge(of, declaration=leaks, situation=TAINTED).decision == "deny"
    assert judge(of, declaration=READS_PRIVATE, situation=BOTH).decision == "run"
    assert judge(of, declaration=WRITES, situation=BOTH).decision == "approve"
    assert judge(of, declaration=SENDS, situation=Situation("default", private=True)).decision == (
        "run"
    )
    asks = policy({"decide": "run"}, egress_after_private="approve")
    assert judge(asks, declaration=SENDS, situation=BOTH).decision == "approve"


def test_no_floor_lifts_a_denial() -> None:
    """What a rule denies stays denied, whatever was read."""
    of = policy({"decide": "deny"}, egress_after_private="approve")
    for situation in (HERE, TAINTED, BOTH):
        assert judge(of, declaration=SENDS, situation=situation).rule == "rule 0"


def test_a_tool_is_used_so_often_in_a_turn() -> None:
    """By name or pattern; a pattern counts all tools that it fits."""
    of = policy({"decide": "run"}, most_per_turn={"refund_*": 2, "nothing": 0})
    made = {"refund_order": 1, "look_up_order": 40}
    assert judge(of, situation=Situation("default", made=made)).decision == "run"
    made = {"refund_order": 1, "refund_all": 1}
    found = judge(of, situation=Situation("default", made=made))
    assert (found.decision, "often enough" in found.rule) == ("deny", True)
    assert judge(of, "nothing").decision == "deny"
    fifty = Situation("default", made={"look_up_order": 50})
    assert judge(SHIPPED, "list_orders", READS, fifty).decision == "deny"


def test_documents_may_be_trusted() -> None:
    """By patterns of their addresses; none are in the policy that comes along."""
    of = policy({"decide": "run"}, trusted_documents=["file:///handbook/*"])
    assert of.trusts("file:///handbook/a/b.md")
    assert not of.trusts("upload:/letter.pdf")
    assert not SHIPPED.trusts("file:///handbook/a.md")


WHOLE: dict[str, Any] = {
    "trusted_documents": ["a"],
    "egress_after_private": "deny",
    "approval": {"quorum": 1, "expires_minutes": 60, "escalate_minutes": 15},
    "most_per_turn": {"*": 50},
    "rules": [
        {
            "tools": ["a"],
            "effects": ["none"],
            "when": {"required": ["a"]},
            "decide": "run",
            "because": "a",
            "quorum": 1,
            "expires_minutes": 1,
            "escalate_minutes": 1,
        }
    ],
    "tenants": {"acme": {"allow": ["*"], "rules": []}},
}


@pytest.mark.parametrize(
    "change",
    [
        {"trusted_documents": ["b"]},
        {"egress_after_private": "approve"},
        {"approval": {"quorum": 2}},
        {"most_per_turn": {"*": 49}},
        *(
            {"rules": [{**WHOLE["rules"][0], **word}]}
            for word in (
                {"tools": ["b"]},
                {"effects": ["external"]},
                {"when": {"required": ["b"]}},
                {"decide": "deny"},
                {"because": "b"},
                {"quorum": 2},
                {"expires_minutes": 2},
                {"escalate_minutes": 2},
            )
        ),
        {"rules": [*WHOLE["rules"], *WHOLE["rules"]]},
        {"tenants": {"acme": {"allow": ["a"], "rules": []}}},
        {"tenants": {"acme": {"allow": ["*"], "rules": WHOLE["rules"]}}},
    ],
)
def test_the_version_changes_with_every_word(change: dict[str, Any]) -> None:
    """Decisions are bound to it; the same file has the same one."""
    of = Policy(PolicyFile.model_validate(WHOLE)).version
    assert of == Policy(PolicyFile.model_validate(json.loads(json.dumps(WHOLE)))).version
    assert Policy(PolicyFile.model_validate({**WHOLE, **change})).version != of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rules: [", "neither YAML nor JSON"),
        ("[]", "Input should be"),
        ("rules:\n  - {decide: maybe, because: x}", "rules.0.decide"),
        ("rules:\n  - {decide: run}", "rules.0.because"),
        ("rules:\n  - {decide: run, because: x, tool: [a]}", "rules.0.tool"),
        ("rules:\n  - {decide: run, because: x, effects: [big]}", "rules.0.effects.0"),
        ("rules:\n  - {decide: run, because: x, when: {type: thing}}", "rules.0.when"),
        (
            "rules:\n  - {decide: run, because: x, when: {$ref: 'https://example.com/s'}}",
            "refers to https://example.com/s",
        ),
        ("rules:\n  - {decide: run, because: x, quorum: 0}", "rules.0.quorum"),
        ("rules:\n  - {decide: run, because: x, expires_minutes: 0}", "rules.0.expires_minutes"),
        ("rules: []\nmost_per_turn: {a: -1}", "most_per_turn.a"),
        ("rules: []\negress_after_private: run", "egress_after_private"),
        ("rules: []\napproval: {quorum: 21}", "approval.quorum"),
        ("rules: []\ntenants: {acme: {deny: [a]}}", "tenants.acme.deny"),
        ("rules: []\nrulez: []", "rulez"),
    ],
)
def test_a_bad_file_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    """What is written wrongly is refused rather than ignored."""
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid) as told:
        Policy.load(file)
    assert place in told.value.message
    assert "TOOLS_POLICY_FILE" in told.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is not replaced by the one that comes along."""
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        Policy.load(tmp_path / "none.yaml")
