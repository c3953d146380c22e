"""What can be done in the shop. Every action happens once for its key, however often it is asked.

Each function works in the transaction of whoever calls it, so that the action and the note that
it was done are stored together or not at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from psycopg.types.json import Jsonb
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from core.errors import Conflict
from core.text import scrub
from db.sql import load
from tools.shop.orders import Conn, Order, OrderId, get
from tools.tool import Caller, TryDifferently

SQL = load(__file__)

MOST_CENTS = 100_000_000

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(scrub),
]


class RefundOrder(BaseModel):
    """How much money goes back to the customer of an order."""

    order_id: OrderId
    cents: Annotated[int, Field(gt=0, le=MOST_CENTS, description="1999 is 19.99.")]
    reason: Line


class CancelOrder(BaseModel):
    """Which order is not to be sent."""

    order_id: OrderId
    reason: Line


class ChangeAddress(BaseModel):
    """Where an order is to be sent instead."""

    order_id: OrderId
    address: Line


class OpenTicket(BaseModel):
    """What a person should look at."""

    subject: Annotated[Line, Field(max_length=120)]
    body: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
        AfterValidator(scrub),
    ]
    order_id: OrderId | None = None


async def refund_order(conn: Conn, asked: RefundOrder, caller: Caller, key: str) -> str:
    """Refund at most what was paid and not yet refunded."""

    async def effect() -> str:
        order = await _locked(conn, asked.order_id, caller)
        if asked.cents > order.left_cents:
            raise TryDifferently(
                f"Of order {order.order_id}, {money(order.left_cents, order)} can be refunded: "
                f"{money(order.total_cents, order)} were paid, "
                f"{money(order.refunded_cents, order)} refunded before."
            )
        parameters = {**_whose(caller), **asked.model_dump(), "order_id": order.order_id}
        await conn.execute(SQL["refund"], parameters)
        return f"Refunded {money(asked.cents, order)} of order {order.order_id}."

    return await once(conn, "refund_order", asked, caller, key, effect)


async def cancel_order(conn: Conn, asked: CancelOrder, caller: Caller, key: str) -> str:
    """Cancel an order that has not been shipped."""

    async def effect() -> str:
        order = await _locked(conn, asked.order_id, caller)
        _still_here(order, "cancelled")
        await conn.execute(SQL["cancel"], {**_whose(caller), **asked.model_dump()})
        return f"Cancelled order {order.order_id}; nothing was refunded by this."

    return await once(conn, "cancel_order", asked, caller, key, effect)


async def change_address(conn: Conn, asked: ChangeAddress, caller: Caller, key: str) -> str:
    """Send an order elsewhere that has not been shipped."""

    async def effect() -> str:
        order = await _locked(conn, asked.order_id, caller)
        _still_here(order, "sent elsewhere")
        await conn.execute(SQL["change_address"], {**_whose(caller), **asked.model_dump()})
        return f"Order {order.order_id} goes to: {asked.address} (before: {order.address})"

    return await once(conn, "change_address", asked, caller, key, effect)


async def open_ticket(conn: Conn, asked: OpenTicket, caller: Caller, key: str) -> str:
    """Open a ticket, about an order or not."""

    async def effect() -> str:
        if asked.order_id is not None:
            await get(conn, asked.order_id, tenant_id=caller.tenant_id)
        parameters = {**_whose(caller), **asked.model_dump()}
        row = await (await conn.execute(SQL["open_ticket"], parameters)).fetchone()
        assert row is not None
        return f"Opened ticket {row[0]}."

    return await once(conn, "open_ticket", asked, caller, key, effect)


async def once(
    conn: Conn,
    action: str,
    asked: BaseModel,
    caller: Caller,
    key: str,
    effect: Callable[[], Awaitable[str]],
) -> str:
    """Return what an action says, doing it only if its key is new; refused, it leaves no trace.

    Two at once: one does it, the other waits and is told the same.
    Raises Conflict for a key that stood for something else.
    """
    parameters = {
        "tenant_id": caller.tenant_id,
        "key": key,
        "action": action,
        "arguments": Jsonb(asked.model_dump()),
        "acted_by": caller.user_id,
    }
    async with conn.transaction():
        claimed = await conn.execute(SQL["claim"], parameters)
        if await claimed.fetchone() is None:
            row = await (await conn.execute(SQL["done"], parameters)).fetchone()
            if row is None or not row[1]:
                raise Conflict("This idempotency key was used for another action.")
            return str(row[0])
        result = await effect()
        await conn.execute(SQL["finish"], {**parameters, "result": result})
        return result


def money(cents: int, order: Order) -> str:
    """Return an amount for people."""
    return f"{cents // 100}.{cents % 100:02d} {order.currency}"


async def _locked(conn: Conn, order_id: str, caller: Caller) -> Order:
    """Return an order that nobody else can change; its sums are read once it is ours."""
    parameters = {"tenant_id": caller.tenant_id, "order_id": order_id}
    await conn.execute(SQL["lock"], parameters)
    return await get(conn, order_id, tenant_id=caller.tenant_id)


def _still_here(order: Order, what: str) -> None:
    if order.status != "placed":
        raise TryDifferently(f"Order {order.order_id} is {order.status}; it cannot be {what}.")


def _whose(caller: Caller) -> dict[str, str]:
    return {"tenant_id": caller.tenant_id, "user_id": caller.user_id}
