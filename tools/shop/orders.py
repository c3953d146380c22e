"""Orders as they are stored, and the tools that read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from core.text import scrub
from db.sql import load
from tools.tool import Caller, TryDifferently

SQL = load(__file__)

Conn = AsyncConnection[TupleRow]
Row = Mapping[str, Any]
Status = Literal["placed", "shipped", "delivered", "cancelled"]
OrderId = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_upper=True, min_length=1, max_length=40),
    AfterValidator(scrub),
    Field(description="As on the invoice, for example A-1001."),
]


@dataclass(frozen=True, slots=True)
class Order:
    """An order with its sums, in integer cents."""

    order_id: str
    status: Status
    currency: str
    address: str
    total_cents: int
    refunded_cents: int
    row: Row  # all there is, for people

    @property
    def left_cents(self) -> int:
        """What can still be refunded."""
        return self.total_cents - self.refunded_cents


class LookUpOrder(BaseModel):
    """Which order."""

    order_id: OrderId


class ListOrders(BaseModel):
    """Which orders; nothing given: the newest."""

    customer: Annotated[
        str | None, Field(max_length=200, description="A part of the customer's name.")
    ] = None
    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=50)] = 20


async def look_up_order(conn: Conn, asked: LookUpOrder, caller: Caller, key: str) -> str:
    """Return one order with its lines as JSON."""
    order = await get(conn, asked.order_id, tenant_id=caller.tenant_id)
    parameters = {"tenant_id": caller.tenant_id, "order_id": order.order_id}
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["lines"], parameters)
        lines = await cursor.fetchall()
    return _json({**order.row, "lines": lines})


async def list_orders(conn: Conn, asked: ListOrders, caller: Caller, key: str) -> str:
    """Return the newest orders as JSON, one a line."""
    parameters = {
        "tenant_id": caller.tenant_id,
        "customer": scrub(asked.customer) if asked.customer else None,
        "status": asked.status,
        "limit": asked.limit,
    }
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["list"], parameters)
        rows = await cursor.fetchall()
    return "\n".join(map(_json, rows)) or "There are no such orders."


async def get(conn: Conn, order_id: str, *, tenant_id: str) -> Order:
    """Return an order; raises TryDifferently when there is none of that name."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["get"], {"tenant_id": tenant_id, "order_id": order_id})
        row = await cursor.fetchone()
    if row is None:
        raise TryDifferently(f"There is no order {order_id}.")
    names = ("order_id", "status", "currency", "address", "total_cents", "refunded_cents")
    return Order(**{name: row[name] for name in names}, row=row)


def _json(row: Row) -> str:
    told = {name: value for name, value in row.items() if value is not None}
    return json.dumps(told, ensure_ascii=False, default=str)
