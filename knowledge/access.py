"""Who may read a document: named when it is ingested, by its row of JSON Lines, or later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document

MAX_NAMES = 1000  # of one kind, for one document
MAX_NAME_CHARACTERS = 200
FIELDS = ("owners", "groups", "labels")
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Access:
    """Names that a document carries. None leaves those it has; a new document has none.

    A document without owners and groups may be read by everyone of its tenant, so saying nothing
    never opens what was closed: that takes an empty tuple.
    """

    owners: tuple[str, ...] | None = None  # user ids
    groups: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None  # to narrow a search; they protect nothing

    def over(self, other: Access) -> Access:
        """Return what this says, and where it says nothing what `other` says."""
        return Access(
            *(
                theirs if ours is None else ours
                for ours, theirs in zip(self.lists(), other.lists(), strict=True)
            )
        )

    def changes(self, stored: Access) -> bool:
        """True when a document that carries `stored` would carry something else."""
        return self.over(stored) != stored

    def lists(self) -> tuple[tuple[str, ...] | None, ...]:
        """Return owners, groups and labels."""
        return self.owners, self.groups, self.labels


UNCHANGED = Access()


def named(document: Document) -> tuple[Document, Access]:
    """Return the document without the access that its row of JSON names, and that access.

    Raises DocumentUnreadable when `owners`, `groups` or `labels` is no list of names: whoever
    wrote it meant to protect something, and guessing could show it to everybody.
    """
    given = {key: document.metadata[key] for key in FIELDS if key in document.metadata}
    if document.media_type != JSON or not given:
        return document, UNCHANGED
    rest = {key: value for key, value in document.metadata.items() if key not in given}
    access = Access(**{key: names(value, what=key) for key, value in given.items()})
    return replace(document, metadata=rest), access


def names(value: Any, *, what: str) -> tuple[str, ...]:
    """Return a list of names, sorted, each once; raises DocumentUnreadable."""
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise DocumentUnreadable(f'Its "{what}" is not a list of names.')
    cleaned = {scrub(name).strip() for name in value}
    if "" in cleaned or max(map(len, cleaned), default=0) > MAX_NAME_CHARACTERS:
        raise DocumentUnreadable(
            f'A name in its "{what}" is empty or has more than {MAX_NAME_CHARACTERS} characters.'
        )
    if len(cleaned) > MAX_NAMES:
        raise DocumentUnreadable(f'Its "{what}" has more than {MAX_NAMES} names.')
    return tuple(sorted(cleaned))
