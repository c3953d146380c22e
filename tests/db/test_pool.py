"""The pool: one tenant a transaction, bounded waits, recovery."""

from __future__ import annotations

from db.pool import Database


async def test_a_transaction_sees_its_tenant(database: Database, tenant: str) -> None:
    """Inside a transaction the tenant is set, and it is gone afterwards."""
    async with database.transaction(tenant) as conn:
        row = await (await conn.execute("select current_setting('parley.tenant')")).fetchone()
        assert row == (tenant,)
    async with database.connection() as conn:
        row = await (await conn.execute("select current_setting('parley.tenant', true)")).fetchone()
        assert row is not None
        assert not row[0]
