"""Sample orders, for trying the tools out."""

from __future__ import annotations

from db.sql import load
from tools.shop.orders import Conn

SQL = load(__file__)


async def load_sample(conn: Conn, *, tenant_id: str) -> None:
    """Put ten orders into the shop, with a refund and a ticket; what is there stays as it is.

    conn: inside a transaction opened for `tenant_id`.
    """
    for statement in SQL:
        await conn.execute(SQL[statement], {"tenant_id": tenant_id})
