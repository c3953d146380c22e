"""Which passages a search may return: what the reader may see, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reader:
    """The person a search is for."""

    user_id: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """Applies inside the search, so that what it excludes takes nobody's place."""

    reader: Reader | None = None  # None: an operator's tool, which sees the whole tenant
    labels: tuple[str, ...] = ()  # the document carries all of these
    under: str = ""  # the document's uri begins with this

    def parameters(self) -> dict[str, Any]:
        """Return what the predicate of the SQL statements asks for.

        `readable(d.owners, d.groups, %(reader)s, %(member_of)s)
        and d.labels @> %(labels)s and starts_with(d.uri, %(under)s)`
        """
        return {
            "reader": self.reader.user_id if self.reader else None,
            "member_of": list(self.reader.groups) if self.reader else [],
            "labels": list(self.labels),
            "under": self.under,
        }


EVERYTHING = Filter()
