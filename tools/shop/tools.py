"""The shop's tools, as a model sees them."""

from __future__ import annotations

from db.pool import Database
from tools.shop.actions import (
    CancelOrder,
    ChangeAddress,
    OpenTicket,
    RefundOrder,
    cancel_order,
    change_address,
    open_ticket,
    refund_order,
)
from tools.shop.orders import ListOrders, LookUpOrder, list_orders, look_up_order
from tools.tool import Declaration, Tool
from tools.transactional import transactional

READS = Declaration("none", "pure", reads_private=True)
ACTS = Declaration("internal_write", "keyed", reads_private=True)


def shop_tools(database: Database) -> list[Tool]:
    """Return what can be looked up and done in the shop; amounts are integer cents."""
    return [
        transactional(
            database,
            "look_up_order",
            "Returns one order: status, address, lines, dates, what was paid and refunded.",
            LookUpOrder,
            look_up_order,
            READS,
        ),
        transactional(
            database,
            "list_orders",
            "Lists the newest orders, of one customer or with one status where given.",
            ListOrders,
            list_orders,
            READS,
        ),
        transactional(
            database,
            "refund_order",
            "Gives money back to the customer of an order; at most what was paid.",
            RefundOrder,
            refund_order,
            ACTS,
        ),
        transactional(
            database,
            "cancel_order",
            "Cancels an order that has not been shipped. It refunds nothing.",
            CancelOrder,
            cancel_order,
            ACTS,
        ),
        transactional(
            database,
            "change_address",
            "Sends an order that has not been shipped to another address.",
            ChangeAddress,
            change_address,
            ACTS,
        ),
        transactional(
            database,
            "open_ticket",
            "Opens a ticket that a person will look at, about an order or not.",
            OpenTicket,
            open_ticket,
            ACTS,
        ),
    ]
