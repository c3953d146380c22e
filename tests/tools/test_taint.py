"""Where arguments came from is found, and looking for it never fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.taint import LEAVES, Text, origins

LETTER = Text("document", "upload:/letter.pdf", "Refund A-1001\nto DE89 3704, 19.99 EUR.", True)
SAID = Text("user", "this message", "My lamp, order a-1001, is broken.")


def found(arguments: dict[str, Any], *texts: Text) -> dict[str, list[str]]:
    """Return the sources of each value, by its path."""
    return {
        origin["path"]: [place["source"] for place in origin["found_in"]]
        for origin in origins(arguments, texts)
    }


def test_a_value_is_found_wherever_it_stands() -> None:
    """In each text, whatever the case, with who wrote it and what stands around it."""
    [origin] = origins({"order_id": "A-1001"}, [SAID, LETTER])
    assert [(place["kind"], place["untrusted"]) for place in origin["found_in"]] == [
        ("user", False),
        ("document", True),
    ]
    assert "My lamp, order a-1001" in origin["found_in"][0]["quote"]


def test_only_whole_words_count() -> None:
    """A-100 does not stand in A-1001."""
    assert found({"order_id": "A-100"}, LETTER) == {"order_id": []}
    assert found({"order_id": "1001"}, LETTER) == {"order_id": ["upload:/letter.pdf"]}


def test_line_breaks_do_not_matter() -> None:
    """A value is found across them."""
    assert found({"note": "A-1001 to  DE89"}, LETTER) == {"note": ["upload:/letter.pdf"]}


@pytest.mark.parametrize(
    ("cents", "text", "there"),
    [
        (1999, "It was 19.99.", True),
        (1999, "It was 19,99 EUR", True),
        (1999, "It was 119.99", False),
        (2000, "It was 20 EUR", True),
        (2000, "It was 20.00 EUR", True),
        (2000, "It was 2000", True),
        (2005, "It was 20 EUR", False),
    ],
)
def test_money_is_found_as_people_write_it(cents: int, text: str, there: bool) -> None:
    """Cents are found as units."""
    assert bool(found({"cents": cents}, Text("user", "u", text))["cents"]) == there


def test_paths_lead_into_the_arguments() -> None:
    """Through objects and lists; nothing is said about what is in every text."""
    arguments = {"lines": [{"article": "lamp"}, {"article": "x"}], "express": True, "note": None}
    assert found(arguments, SAID) == {"lines.0.article": ["this message"]}


def test_endless_arguments_are_cut() -> None:
    """Nobody reads more."""
    assert len(origins({"many": ["lamp"] * 5000}, [SAID])) == LEAVES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(arguments=st.dictionaries(st.text(), JSON), texts=st.lists(st.text(), max_size=3))
def test_it_never_raises(arguments: dict[str, Any], texts: list[str]) -> None:
    """For any JSON and any texts; what it returns can be stored as JSON again."""
    seen = [Text("tool", "fetch_page", text, True) for text in [*texts, json.dumps(arguments)]]
    json.dumps(origins(arguments, seen))


@settings(deadline=None)
@given(value=st.text(alphabet="ab \n.(*+?[\\1٣²", min_size=2))
def test_a_copied_value_is_found(value: str) -> None:
    """Whatever it consists of, a value that stands alone in a text is found there."""
    for origin in origins({"value": value}, [Text("user", "u", f"\n {value} \n")]):
        assert origin["found_in"], value


def test_deep_arguments_do_not_break_it() -> None:
    """As deep as arguments may be."""
    deep: Any = "lamp"
    for _ in range(64):
        deep = [deep]
    [origin] = origins({"deep": deep}, [SAID])
    assert origin["found_in"]
