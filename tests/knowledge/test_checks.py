"""What comes in has the form of a document; what is lost on the way out is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import DocumentInvalid, DocumentTooLarge
from db.pool import Database
from knowledge.checks import Expected, Ledger, check, differences
from knowledge.load.document import Document, Part
from knowledge.segments import merge
from tests.knowledge.conftest import Put

GOOD = Document(
    "T",
    "text/plain",
    (Part("text", "A > B", 1),),
    4,
    author="Ada",
    language="en",
    created=datetime(1843, 9, 1, tzinfo=UTC),
    metadata={"pages": [1, 2.5, None, {"k": True}]},
)


def test_a_document_passes() -> None:
    """What a loader makes is accepted."""
    check(GOOD)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", 7),
        ("title", "x" * 301),
        ("media_type", "text"),
        ("parts", ()),
        ("parts", (Part("text", page=0),)),
        ("parts", (Part("text", page=1 << 31),)),
        ("parts", (Part(b"text"),)),  # type: ignore[arg-type]
        ("parts", (Part("text", "", 1, "yes"),)),  # type: ignore[arg-type]
        ("bytes", -1),
        ("created", "2024-01-01"),
        ("modified", datetime(2024, 1, 1)),  # noqa: DTZ001 - that is what is wrong with it
        ("metadata", []),
        ("metadata", {"k": object()}),
        ("metadata", {"k": 1 << 70}),
    ],
)
def test_what_is_no_document_is_refused_by_field(field: str, value: Any) -> None:
    """The error says which field is wrong."""
    with pytest.raises(DocumentInvalid, match=field):
        check(replace(GOOD, **{field: value}))


def test_metadata_are_a_description() -> None:
    """Megabytes of it are refused."""
    with pytest.raises(DocumentTooLarge, match="metadata"):
        check(replace(GOOD, metadata={"k": "x" * (17 << 20)}))


async def compared(database: Database, tenant: str, **expected: Expected) -> list[str]:
    """Compare documents with what is stored."""
    async with database.transaction(tenant) as conn:
        return await differences(conn, tenant_id=tenant, expected=expected)


async def test_what_is_whole_has_no_differences(database: Database, put: Put, tenant: str) -> None:
    """Before its keywords are packed, half way, and after; a chunk of stop words counts too."""
    await put("a", "one apple", "the of")
    wanted = Expected(b"a", 2, 4)
    assert await compared(database, tenant, a=wanted) == []
    await merge(database, tenant_id=tenant, least=1)
    await put("b", "pear")
    assert await compared(database, tenant, a=wanted, b=Expected(b"b")) == []


@pytest.mark.parametrize(
    ("loss", "named"),
    [
        ("delete from documents", "not there"),
        ("delete from chunks where ordinal = 1", "1 of 2 chunks"),
        ("update chunks set tokens = 1", "2 of 4 tokens"),
        ("delete from keyword_fresh", "0 of 2 chunks with keywords"),
    ],
)
async def test_each_loss_is_named(
    database: Database, put: Put, tenant: str, loss: str, named: str
) -> None:
    """Whatever part of a document is missing, its uri and the counts are reported."""
    await put("a", "one apple", "two pears")
    async with database.transaction(tenant) as conn:
        await conn.execute(loss)
    found = await compared(database, tenant, a=Expected(b"a", 2, 4))
    assert any(line.startswith("a: ") and named in line for line in found)


async def test_a_loss_in_a_document_that_did_not_change_is_named(
    database: Database, put: Put, tenant: str
) -> None:
    """Then its own count is what it should have."""
    await put("a", "one apple", "two pears")
    async with database.transaction(tenant) as conn:
        await conn.execute("delete from chunks where ordinal = 1")
    assert "a: 1 of 2 chunks by its own count" in await compared(database, tenant, a=Expected(b"a"))


async def test_what_others_changed_is_not_ours(database: Database, put: Put, tenant: str) -> None:
    """A document that was replaced since is no loss."""
    await put("a", "one apple")
    assert await compared(database, tenant, a=Expected(b"older", 7, 7)) == []


async def test_a_ledger_compares_once(database: Database, put: Put, tenant: str) -> None:
    """Each document that was noted is compared one time."""
    await put("a", "one apple")
    ledger = Ledger(database, tenant_id=tenant)
    await ledger.note("a", Expected(b"a", 3, 2))
    await ledger.compare()
    await ledger.compare()
    assert ledger.differences == ["a: 1 of 3 chunks"]
