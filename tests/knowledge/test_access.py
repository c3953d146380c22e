"""Who may read a document is said when it is ingested, by its row, or later; never by accident."""

from __future__ import annotations

import pytest

from core.errors import DocumentUnreadable
from knowledge.access import MAX_NAMES, UNCHANGED, Access, named, names
from knowledge.load.document import Document, Part


def row(**metadata: object) -> Document:
    """A row of JSON Lines with these fields."""
    return Document(
        "T", "application/json", (Part("text"),), 1, fragment="1", metadata=dict(metadata)
    )


def test_a_row_names_who_may_read_it() -> None:
    """Its lists become access and are metadata no more; other fields stay."""
    document, access = named(row(owners=["ada"], groups=["b", "a", "b"], year=1815))
    assert access == Access(("ada",), ("a", "b"), None)
    assert document.metadata == {"year": 1815}


def test_a_row_that_names_nobody_changes_nothing() -> None:
    """Silence is not an empty list."""
    assert named(row(year=1815)) == (row(year=1815), UNCHANGED)
    assert named(row(owners=[]))[1] == Access(owners=())


@pytest.mark.parametrize("value", ["ada", ["ada", 1], {"ada": True}, None, 7, [""], ["x" * 201]])
def test_what_is_no_list_of_names_is_refused(value: object) -> None:
    """Whoever wrote it meant to protect the document: it is not stored for everybody."""
    for key in ("owners", "groups", "labels"):
        with pytest.raises(DocumentUnreadable, match=key):
            named(row(**{key: value}))


def test_too_many_names_are_refused() -> None:
    """A list of everybody is a group."""
    with pytest.raises(DocumentUnreadable, match="owners"):
        names([f"user {n}" for n in range(MAX_NAMES + 1)], what="owners")


def test_other_kinds_of_files_name_nobody() -> None:
    """What a stranger's file calls its owners is not ours."""
    pdf = Document("T", "application/pdf", (Part("text"),), 1, metadata={"owners": "ACME"})
    assert named(pdf) == (pdf, UNCHANGED)


def test_what_is_nearer_to_the_document_wins() -> None:
    """A row's word goes before that of the whole ingestion, list by list."""
    everything = Access(owners=("bob",), groups=("staff",))
    assert Access(owners=("ada",)).over(everything) == Access(("ada",), ("staff",), None)


def test_only_what_is_said_is_a_change() -> None:
    """A list that is not given leaves the stored one."""
    stored = Access(("ada",), (), ("x",))
    assert not UNCHANGED.changes(stored)
    assert not Access(owners=("ada",)).changes(stored)
    assert Access(owners=()).changes(stored)
