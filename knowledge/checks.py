"""Nothing gets lost on the way: the form of what comes in, and a count of what went out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np
import orjson
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from core.errors import DocumentInvalid, DocumentTooLarge
from db.pool import Database
from db.sql import load
from knowledge.load.document import MAX_NAME_CHARACTERS, Document
from knowledge.postings import Runs

SQL = load(__file__)

MAX_SECTION_CHARACTERS = 20_000  # a path of many headings
MAX_METADATA_BYTES = 16 << 20  # Postgres takes 256 MB, and every list of passages carries them
MAX_INTEGER = (1 << 31) - 1  # of Postgres
SHOWN = 3  # errors of one document
AT_ONCE = 500  # documents counted by one statement

Conn = AsyncConnection[TupleRow]
Name = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]


class _Checked(BaseModel):
    # Strict: "3" is no page and 1 is no yes. Loaders say what they mean.
    model_config = ConfigDict(strict=True, from_attributes=True, frozen=True)


class _Part(_Checked):
    text: str
    section: Annotated[str, Field(max_length=MAX_SECTION_CHARACTERS)]
    page: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None
    records: bool
    table: bool


class _Document(_Checked):
    title: Name
    media_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)]
    parts: Annotated[tuple[_Part, ...], Field(min_length=1)]
    bytes: Annotated[int, Field(ge=0)]
    fragment: Annotated[str, Field(max_length=1000)]
    author: Name | None
    language: Name | None
    created: AwareDatetime | None
    modified: AwareDatetime | None
    metadata: dict[str, JsonValue]


class Expected(NamedTuple):
    """A document that was stored, now or before."""

    content_sha256: bytes
    chunks: int | None = None  # None: as many as the document itself says it has
    tokens: int | None = None


class Ledger:
    """What an ingestion has read, compared with the database bit by bit."""

    def __init__(self, database: Database, *, tenant_id: str) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._noted: dict[str, Expected] = {}
        self.differences: list[str] = []

    async def note(self, uri: str, expected: Expected) -> None:
        """Remember a document whose transaction is over."""
        self._noted[uri] = expected
        if len(self._noted) >= AT_ONCE:
            await self.compare()

    async def compare(self) -> None:
        """Compare what was noted since the last time."""
        noted, self._noted = self._noted, {}
        if noted:
            async with self._database.transaction(self._tenant_id) as conn:
                self.differences += await differences(
                    conn, tenant_id=self._tenant_id, expected=noted
                )


def check(document: Document) -> None:
    """Raise DocumentInvalid, naming field and reason, unless a document has the form of one.

    Documents come from a process that strangers' files may have taken over, so their types are
    no promise. DocumentTooLarge when the metadata are no description any more.
    """
    try:
        _Document.model_validate(document)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:SHOWN]]
        raise DocumentInvalid(
            f"It does not have the form of a document: {'; '.join(wrong)}"
        ) from error
    try:
        size = len(orjson.dumps(document.metadata))
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise DocumentInvalid(f"Its metadata cannot be stored: {error}") from error
    if size > MAX_METADATA_BYTES:
        raise DocumentTooLarge(f"Its metadata take more than {MAX_METADATA_BYTES >> 20} MB.")


async def differences(conn: Conn, *, tenant_id: str, expected: Mapping[str, Expected]) -> list[str]:
    """Return a sentence for each stored document (by uri) that is not as it was handed over.

    Counted are chunks, their tokens, and for how many of them a question can find them by their
    words; a chunk without a vector cannot be stored. A document that somebody else has changed
    since then is theirs to check.
    """
    async with conn.cursor(row_factory=class_row(_Held)) as cursor:
        await cursor.execute(SQL["held"], {"tenant_id": tenant_id, "uris": list(expected)})
        held = {row.uri: row for row in await cursor.fetchall()}
    waiting = sorted({chunk for row in held.values() for chunk in row.not_fresh})
    packed = await _packed(conn, waiting, tenant_id=tenant_id)
    found = []
    for uri, wanted in expected.items():
        row = held.get(uri)
        if row is None:
            found.append(f"{uri}: it is not there")
        elif row.content_sha256 == wanted.content_sha256:
            keywords = row.chunks - sum(chunk not in packed for chunk in row.not_fresh)
            for what, count, stored in (
                ("chunks", wanted.chunks, row.chunks),
                ("chunks by its own count", row.own_chunks, row.chunks),
                ("tokens", wanted.tokens, row.tokens),
                ("tokens by its own count", row.own_tokens, row.tokens),
                ("chunks with keywords", row.chunks, keywords),
            ):
                if count is not None and count != stored:
                    found.append(f"{uri}: {stored} of {count} {what}")
    return found


class _Held(NamedTuple):
    uri: str
    content_sha256: bytes
    own_chunks: int
    own_tokens: int
    chunks: int
    tokens: int
    not_fresh: Sequence[int]  # chunks whose words are in a segment, or nowhere


async def _packed(conn: Conn, chunk_ids: Sequence[int], *, tenant_id: str) -> set[int]:
    """Return which of these chunks are in a segment of the keyword index."""
    if not chunk_ids:
        return set()
    cursor = await conn.execute(SQL["segments"], {"tenant_id": tenant_id}, binary=True)
    wanted = np.array(chunk_ids, np.int64)
    found: set[int] = set()
    for chunks, ids in await cursor.fetchall():
        runs = Runs.unpack(ids, chunks)
        found.update(runs.ids(runs.numbers(wanted)).tolist())
    return found
