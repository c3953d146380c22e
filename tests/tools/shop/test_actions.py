"""Actions in the shop happen once for their key, within the rules, or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from psycopg import sql

from core.errors import Conflict
from db.pool import Database
from tools.registry import Outcome, Registry
from tools.shop.actions import CancelOrder, RefundOrder, cancel_order, refund_order
from tools.shop.sample import load_sample
from tools.shop.tools import shop_tools
from tools.tool import Caller, TryDifferently

CARL = Caller("default", "carl")
OTHER = Caller("other", "olga")


@pytest.fixture
async def registry(database: Database) -> Registry:
    """The shop's tools over the sample orders."""
    async with database.transaction("default") as conn:
        await load_sample(conn, tenant_id="default")
    return Registry(shop_tools(database))


async def rows(database: Database, statement: str, tenant: str = "default") -> list[Any]:
    """Return what a tenant's tables hold."""
    async with database.transaction(tenant) as conn:
        return await (await conn.execute(sql.SQL(statement))).fetchall()


async def call(registry: Registry, name: str, key: str = "k1", **arguments: Any) -> Outcome:
    """Call a tool as carl."""
    return await registry.call(name, arguments, CARL, key=key)


async def test_the_same_key_refunds_once(registry: Registry, database: Database) -> None:
    """Asked twice, the money goes back once, and the answer is the same."""
    first = await call(registry, "refund_order", order_id="A-1001", cents=4990, reason="broken")
    again = await call(registry, "refund_order", order_id="a-1001 ", cents=4990, reason="broken")
    assert first.text == again.text == "Refunded 49.90 EUR of order A-1001."
    found = await rows(database, "select cents, refunded_by from refunds where order_id = 'A-1001'")
    assert found == [(4990, "carl")]


async def test_the_same_key_at_once_refunds_once(registry: Registry, database: Database) -> None:
    """Eight at the same moment: one refund, eight times the same answer."""
    outcomes = await asyncio.gather(
        *(
            call(registry, "refund_order", order_id="A-1001", cents=100, reason="late")
            for _ in range(8)
        )
    )
    assert {outcome.text for outcome in outcomes} == {"Refunded 1.00 EUR of order A-1001."}
    assert await rows(database, "select cents from refunds where order_id = 'A-1001'") == [(100,)]


async def test_refunds_never_exceed_what_was_paid(registry: Registry, database: Database) -> None:
    """Also when several are asked for at once, each under its own key."""
    outcomes = await asyncio.gather(
        *(
            call(registry, "refund_order", key=f"k{n}", order_id="A-1005", cents=4000, reason="x")
            for n in range(6)
        )
    )
    assert sorted(outcome.status for outcome in outcomes) == ["ok"] * 2 + ["refused"] * 4
    assert await rows(
        database, "select sum(cents)::int from refunds where order_id = 'A-1005'"
    ) == [(8000,)]
    more = await call(
        registry, "refund_order", key="more", order_id="A-1005", cents=1981, reason="x"
    )
    assert more.text == (
        "Of order A-1005, 19.80 EUR can be refunded: 99.80 EUR were paid, "
        "80.00 EUR refunded before."
    )


async def test_a_key_stands_for_one_action(registry: Registry) -> None:
    """The same key with other arguments, or for another tool, is an error and no action."""
    await call(registry, "refund_order", order_id="A-1001", cents=100, reason="late")
    other = await call(registry, "refund_order", order_id="A-1001", cents=200, reason="late")
    assert (other.status, other.code) == ("failed", Conflict.code)
    cancel = await call(registry, "cancel_order", order_id="A-1007", reason="late")
    assert (cancel.status, cancel.code) == ("failed", Conflict.code)


async def test_a_refused_action_leaves_its_key_free(registry: Registry) -> None:
    """What was refused did not happen: the same call may succeed later."""
    asked = {"order_id": "A-1005", "address": "Somewhere 1", "key": "k"}
    assert (await call(registry, "change_address", **asked)).status == "refused"
    asked["order_id"] = "A-1007"
    assert (await call(registry, "change_address", **asked)).status == "ok"


async def test_an_action_commits_with_what_the_caller_notes(
    registry: Registry, database: Database
) -> None:
    """In the caller's transaction: when that is undone, the money has not moved, nor the key."""
    refund = registry.get("refund_order")
    assert refund is not None
    assert refund.within is not None
    arguments = {"order_id": "A-1001", "cents": 100, "reason": "late"}
    async with database.transaction("default") as conn:
        await refund.within(conn, arguments, CARL, "k")
        await conn.rollback()
    assert await rows(database, "select from refunds where order_id = 'A-1001'") == []
    assert await rows(database, "select from shop_actions") == []
    async with database.transaction("default") as conn:
        await refund.within(conn, arguments, CARL, "k")
    assert await rows(database, "select cents from refunds where order_id = 'A-1001'") == [(100,)]


async def test_the_transaction_survives_a_refusal(registry: Registry, database: Database) -> None:
    """A refused action undoes itself alone; what the caller wrote before stays."""
    asked = RefundOrder(order_id="A-1007", cents=1, reason="first")
    async with database.transaction("default") as conn:
        await refund_order(conn, asked, CARL, "k1")
        with pytest.raises(TryDifferently):
            await cancel_order(conn, CancelOrder(order_id="A-1005", reason="x"), CARL, "k2")
    assert await rows(database, "select key from shop_actions") == [("k1",)]


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("refund_order", {"order_id": "A-9", "cents": 1, "reason": "x"}, "There is no order A-9"),
        ("refund_order", {"order_id": "A-1001", "cents": 0, "reason": "x"}, "cents"),
        ("refund_order", {"order_id": "A-1001", "cents": -5, "reason": "x"}, "cents"),
        ("refund_order", {"order_id": "A-1001", "cents": 1.5, "reason": "x"}, "cents"),
        ("refund_order", {"order_id": "A-1001", "cents": 10**30, "reason": "x"}, "cents"),
        ("refund_order", {"order_id": "A-1001", "cents": 1, "reason": "  "}, "reason"),
        ("refund_order", {"order_id": "A-1001", "cents": 1}, "reason"),
        ("cancel_order", {"order_id": "A-1005", "reason": "x"}, "is shipped; it cannot be cancel"),
        ("cancel_order", {"order_id": "A-1003", "reason": "x"}, "is cancelled"),
        ("change_address", {"order_id": "A-1001", "address": "x"}, "is delivered"),
        ("open_ticket", {"subject": "x", "body": "y", "order_id": "A-9"}, "There is no order A-9"),
        ("open_ticket", {"subject": "x" * 121, "body": "y"}, "subject"),
        ("look_up_order", {"order_id": "'; drop table orders --"}, "There is no order"),
        ("list_orders", {"limit": 51}, "limit"),
    ],
)
async def test_what_the_rules_forbid_is_told(
    registry: Registry, database: Database, name: str, arguments: dict[str, Any], told: str
) -> None:
    """The model reads why, and nothing was done."""
    outcome = await call(registry, name, **arguments)
    assert outcome.status == "refused"
    assert told in outcome.text
    assert await rows(database, "select from shop_actions") == []


async def test_orders_are_cancelled_and_sent_elsewhere(
    registry: Registry, database: Database
) -> None:
    """Before they are shipped; a repeated change does not undo a later one."""
    old = {"order_id": "A-1008", "address": "Old Road 1"}
    assert (await call(registry, "change_address", **old)).text == (
        "Order A-1008 goes to: Old Road 1 (before: Hauptstraße 5, 10827 Berlin)"
    )
    await call(registry, "change_address", key="k2", order_id="A-1008", address="New Road 2")
    await call(registry, "change_address", **old)
    await call(registry, "cancel_order", key="k3", order_id="A-1008", reason="no longer needed")
    assert await rows(
        database, "select status, address, cancel_reason from orders where order_id = 'A-1008'"
    ) == [("cancelled", "New Road 2", "no longer needed")]


async def test_a_ticket_is_opened_once(registry: Registry, database: Database) -> None:
    """With or without an order; text that cannot be stored is refused."""
    broken = await call(registry, "open_ticket", subject="Call\0back", body="Please call.")
    assert (broken.status, broken.code) == ("refused", "arguments_invalid")
    asked = {"subject": "Call back", "body": "Please call.", "order_id": "A-1007"}
    first = await call(registry, "open_ticket", **asked)
    assert (await call(registry, "open_ticket", **asked)).text == first.text
    await call(registry, "open_ticket", key="k2", subject="General", body="Hello")
    assert await rows(
        database, "select subject, order_id, opened_by from tickets where opened_by = 'carl'"
    ) == [("Call back", "A-1007", "carl"), ("General", None, "carl")]


async def test_orders_are_looked_up_and_listed(registry: Registry) -> None:
    """One with its lines and sums; many newest first, narrowed by name and status."""
    one = await call(registry, "look_up_order", order_id="a-1002")
    assert '"total_cents": 18900, "refunded_cents": 2000' in one.text
    assert '"article": "Office chair"' in one.text
    many = await call(registry, "list_orders", customer="bruno")
    assert [line[14:20] for line in many.text.splitlines()] == ["A-1008", "A-1002"]
    placed = await call(registry, "list_orders", status="placed", limit=2)
    assert [line[14:20] for line in placed.text.splitlines()] == ["A-1010", "A-1009"]
    assert (await call(registry, "list_orders", customer="%")).text == "There are no such orders."


async def test_another_tenant_has_another_shop(registry: Registry, database: Database) -> None:
    """Orders and keys of one tenant do not exist for the other."""
    arguments = {"order_id": "A-1001", "cents": 100, "reason": "late"}
    await registry.call("refund_order", arguments, CARL, key="k")
    other = await registry.call("refund_order", arguments, OTHER, key="k")
    assert other.text == "There is no order A-1001."
    async with database.transaction("other") as conn:
        await load_sample(conn, tenant_id="other")
    assert (await registry.call("refund_order", arguments, OTHER, key="k")).status == "ok"


async def test_the_sample_is_loaded_once(registry: Registry, database: Database) -> None:
    """Loading it again changes nothing, also where somebody worked with it."""
    await call(registry, "cancel_order", order_id="A-1007", reason="x")
    async with database.transaction("default") as conn:
        await load_sample(conn, tenant_id="default")
    counts = "select (select count(*) from orders), (select count(*) from order_lines), \
              (select count(*) from refunds), (select count(*) from tickets)"
    assert await rows(database, counts) == [(10, 13, 1, 1)]
    assert await rows(database, "select status from orders where order_id = 'A-1007'") == [
        ("cancelled",)
    ]
