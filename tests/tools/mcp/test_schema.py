"""Schemas by strangers cost neither time nor room."""

from __future__ import annotations

from typing import Any

import pytest

from tools.mcp.schema import MOST_CHARACTERS, tamed


def schema(**properties: Any) -> dict[str, Any]:
    """Return a schema of arguments."""
    return {"type": "object", "properties": properties}


def test_a_pattern_of_a_stranger_is_never_run() -> None:
    """Some take hours for thirty letters; an argument that is called `pattern` stays."""
    slow = schema(
        pattern={"type": "string", "pattern": "(a+)+$"},
        lists={"type": "array", "items": {"anyOf": [{"pattern": "(a+)+$"}, {"type": "null"}]}},
        open={"patternProperties": {"(a+)+$": {}}, "additionalProperties": False},
        choice={"enum": [{"pattern": "kept"}]},
    )
    assert tamed(slow)["properties"] == {
        "pattern": {"type": "string"},
        "lists": {"type": "array", "items": {"anyOf": [{}, {"type": "null"}]}},
        "open": {},
        "choice": {"enum": [{"pattern": "kept"}]},
    }


def nested(depth: int) -> dict[str, Any]:
    """Return a schema as deep as that."""
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"items": found}
    return schema(deep=found)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (schema(a={"$ref": "http://127.0.0.1:9/a.json"}), "another document"),
        (schema(a={"$ref": "file:///etc/passwd"}), "another document"),
        (schema(a={"$dynamicRef": "other.json"}), "another document"),
        (schema(a={"description": "x" * MOST_CHARACTERS}), "too long"),
        (nested(100_000), "too deeply"),
        ({"type": "string"}, "no object"),
        ({}, "no object"),
    ],
)
def test_what_leads_elsewhere_or_has_no_end_is_refused(refused: dict[str, Any], why: str) -> None:
    """The tool is then left out."""
    with pytest.raises(ValueError, match=why):
        tamed(refused)


def test_a_schema_may_refer_to_itself() -> None:
    """Recursion inside of the document is ordinary."""
    tree = schema(tree={"$ref": "#/$defs/tree"}) | {
        "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}
    }
    assert tamed(tree) == tree
