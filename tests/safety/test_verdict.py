from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safety.verdict import Edit, Finding, Outcome, apply, combine

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


def test_all_findings_and_the_first_refusal() -> None:
    """A verdict carries every finding and one refusal."""
    finding = Finding("a", "low", "warn", "x")
    verdict = combine(
        "text", [Outcome((finding,)), Outcome(refusal="one"), Outcome((finding,), refusal="two")]
    )
    assert verdict.findings == (finding, finding)
    assert verdict.refusal == "one"
