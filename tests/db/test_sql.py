"""Named statements."""

from __future__ import annotations

from pathlib import Path

import pytest

from db.sql import load

ROOT = Path(__file__).parents[2]


def test_statements_by_name(tmp_path: Path) -> None:
    """Statements are found by name, without their description; comments within stay out."""
    (tmp_path / "things.sql").write_text(
        "-- About things.\n\n"
        "-- one --\n-- The first.\nselect 1\n  from things\n\n"
        "-- two --\nselect 2\n"
    )
    statements = load(str(tmp_path / "things.py"))
    assert dict(statements) == {"one": "select 1\n  from things", "two": "select 2"}


def test_nothing_is_read_before_use(tmp_path: Path) -> None:
    """Loading reads nothing, because modules do it while they are imported."""
    statements = load(str(tmp_path / "missing.py"))
    with pytest.raises(FileNotFoundError):
        statements["one"]


def test_two_of_a_name(tmp_path: Path) -> None:
    """Two statements of one name are an error."""
    (tmp_path / "things.sql").write_text("-- one --\nselect 1\n-- one --\nselect 2\n")
    with pytest.raises(ValueError, match="one"):
        load(str(tmp_path / "things.py"))["one"]


@pytest.mark.parametrize(
    "path",
    [
        path.relative_to(ROOT)
        for folder in ("db", "knowledge")
        for path in sorted((ROOT / folder).glob("*.sql"))
        if path.with_suffix(".py").exists() and path.name != "schema.sql"
    ],
    ids=str,
)
def test_statements_are_described(path: Path) -> None:
    """Every statement of ours has a sentence that says what it does, and is not empty."""
    text = (ROOT / path).read_text(encoding="utf-8")
    statements = load(str(ROOT / path.with_suffix(".py")))
    assert statements
    for name, statement in statements.items():
        assert statement, name
        following = text.split(f"-- {name} --\n")[1].splitlines()[0]
        assert following.startswith("-- "), f"{path}: {name} has no description"
