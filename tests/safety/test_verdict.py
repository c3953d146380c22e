from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safety.verdict import Action, Edit, Hit, Judge, apply, decide

EDITS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 10)).map(
        lambda pair: Edit(pair[0], min(pair[0] + pair[1], 40), "#")
    )
)


@given(st.permutations(range(4)), EDITS)
def test_the_order_of_checks_does_not_matter(order: list[int], edits: list[Edit]) -> None:
    """The same edits in another order give the same text."""
    text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr"
    shuffled = sorted(edits, key=lambda edit: order[edit.start % 4])
    assert apply(text, edits) == apply(text, shuffled)


@given(EDITS)
def test_what_an_edit_covers_is_gone(edits: list[Edit]) -> None:
    """No character inside an edit survives, and every one outside does."""
    text = "".join(chr(0x4E00 + i) for i in range(44))
    result = apply(text, edits)
    for position, character in enumerate(text):
        covered = any(edit.start <= position < edit.end for edit in edits)
        assert (character in result) is not covered


def always(action: Action | None) -> Judge:
    """Decide the same about every hit."""
    return lambda check, hit: action


def test_all_findings_and_the_first_refusal() -> None:
    """A verdict names each kind once with how often it was seen, and one check that refuses."""
    seen = {"a": [Hit("x", "low"), Hit("x", "low")], "b": [Hit("y", "high")], "c": []}
    verdict = decide("text", seen, always("block"), "output")
    assert [(one.check, one.detail) for one in verdict.findings] == [("a", "x x2"), ("b", "y")]
    assert verdict.refusal == "a"
    assert {one.direction for one in verdict.findings} == {"output"}


def test_what_a_policy_does_not_want_to_know_leaves_no_trace() -> None:
    """Neither a finding nor an edit."""
    seen = {"a": [Hit("x", "critical", 0, 4)]}
    verdict = decide("text", seen, always(None), "output")
    assert (verdict.text, verdict.findings, verdict.refusal) == ("text", (), None)


def test_a_place_is_cut_out_and_marked() -> None:
    """With the mark of the hit, or with one that always fits."""
    seen = {"a": [Hit("x", "high", 0, 2, "<X>"), Hit("x", "high", 3, 4)]}
    assert decide("text", seen, always("redact"), "output").text == "<X>x[withheld]"
    assert decide("text", seen, always("warn"), "output").text == "text"


def test_what_has_no_place_cannot_be_cut_out() -> None:
    """To redact a text as a whole is to block it."""
    verdict = decide("text", {"a": [Hit("x", "high")]}, always("redact"), "input")
    assert verdict.refusal == "a"
    assert verdict.findings[0].action == "block"
