"""Which passages a search may return: what the reader may see, and what was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

_FEW_CHUNKS = 5_000  # compared in some 10 ms, whatever the index may cost
_FEW_DOCUMENTS = 2_000


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


@dataclass(frozen=True, slots=True)
class Few:
    """How little a filter may leave for all of it to be looked at, one chunk after the other."""

    chunks: int
    documents: int  # no more are counted to find that out

    @classmethod
    def of(cls, chunks: int, limit: int) -> Few:
        """Return it for a search of `limit` among `chunks`.

        An index shows about limit / share chunks before enough of them pass a filter, at 5 us
        each; to compare all that pass takes 2.4 us each and misses none. So both cost the same at
        sqrt(2 * limit * chunks), and the index begins to miss more well above that: of a million,
        it found .72 of the best ten in one percent, .99 in six.
        """
        few = max(_FEW_CHUNKS, int(math.sqrt(6.0 * limit * chunks)))
        return cls(few, max(_FEW_DOCUMENTS, few // 5))
