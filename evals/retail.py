"""A retailer's orders and what can be done with them, after the tool schemas of tau-bench.

Written from the schemas and the data of the set (Yao et al., 2024): the set brings no
implementation along. Every write happens once for its key.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.tool import Arguments, Caller, Declaration, Output, Run, Tool, TryDifferently

READS = Declaration("none", "pure", reads_private=True)
WRITES = Declaration("internal_write", "keyed", reads_private=True)
REASONS = ("no longer needed", "ordered by mistake")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """One write that happened."""

    key: str
    tool: str
    arguments: Arguments


@dataclass(slots=True)
class Store:
    """The data as it is now, and what was done to it. Rows are copied when they change."""

    orders: dict[str, Row]
    products: dict[str, Row]
    users: dict[str, Row]
    done: list[Done] = field(default_factory=list)
    _answers: dict[str, str] = field(default_factory=dict)  # by key

    @classmethod
    def load(cls, folder: Path) -> Store:
        """Read the set's first state of the world."""
        orders, products, users = (
            _rows(folder / f"db_retail_{name}.jsonl") for name in ("orders", "products", "users")
        )
        return cls(orders, products, users)

    def fresh(self) -> Store:
        """Return the same world for another task, with nothing done."""
        return Store(dict(self.orders), self.products, dict(self.users))

    def call(self, name: str, arguments: Arguments, key: str) -> str:
        """Return what a tool says, doing what it does once for its key."""
        if name in _READS:
            return json.dumps(_READS[name](self, **arguments))
        if key not in self._answers:
            changed = _WRITES[name](self, **arguments)
            self.done.append(Done(key, name, dict(arguments)))
            self._answers[key] = json.dumps(changed)
        return self._answers[key]

    def order(self, order_id: str, *status: str) -> Row:
        """Return a copy of an order to change; raises TryDifferently."""
        if order_id not in self.orders:
            raise TryDifferently(f"There is no order {order_id}.")
        order = copy.deepcopy(self.orders[order_id])
        if status and order["status"] not in status:
            raise TryDifferently(f"The order is {order['status']}, not {status[0]}.")
        return order

    def user(self, user_id: str) -> Row:
        """Return a copy of a user; raises TryDifferently."""
        if user_id not in self.users:
            raise TryDifferently(f"There is no user {user_id}.")
        return copy.deepcopy(self.users[user_id])

    def variant(self, product_id: str, item_id: str) -> Row:
        """Return an item of a product that can be had; raises TryDifferently."""
        found = self.products[product_id]["variants"].get(item_id)
        if found is None or not found["available"]:
            raise TryDifferently(f"Item {item_id} is not available for this product.")
        return dict(found)

    def keep(self, order: Row) -> Row:
        """Put an order back."""
        self.orders[order["order_id"]] = order
        return order

    def pay(self, user_id: str, method_id: str, amount: float, *, now: bool = True) -> None:
        """Charge a method of payment, or refund to it; gift cards have a balance.

        now: False only looks whether it could be charged.
        """
        user = self.user(user_id)
        method = user["payment_methods"].get(method_id)
        if method is None:
            raise TryDifferently("This user has no such method of payment.")
        if method["source"] == "gift_card":
            if amount > method["balance"]:
                raise TryDifferently("The gift card does not have enough balance.")
            if now:
                method["balance"] = round(method["balance"] - amount, 2)
                self.users[user_id] = user


def tools(stores: Mapping[str, Store], schemas: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """Return the tools that there is an implementation for, with the set's own schemas.

    stores: by user, because each works in a world of its own.
    """
    found = []
    for entry in schemas:
        function = entry["schema"]["function"]
        name = str(function["name"])
        if name in _WRITES or name in _READS:
            declaration = WRITES if name in _WRITES else READS
            schema = {"additionalProperties": False, **function["parameters"]}
            run = _runner(name, stores)
            found.append(Tool(name, function["description"], schema, declaration, run))
    return found


def _runner(name: str, stores: Mapping[str, Store]) -> Run:
    async def run(arguments: Arguments, caller: Caller, key: str) -> Output:
        return Output(stores[caller.user_id].call(name, arguments, key))

    return run


def cancel_pending_order(store: Store, order_id: str, reason: str) -> Row:
    """Cancel, and refund what was paid to where it came from."""
    order = store.order(order_id, "pending")
    if reason not in REASONS:
        raise TryDifferently("The reason is neither of the two that there are.")
    for payment in list(order["payment_history"]):
        store.pay(order["user_id"], payment["payment_method_id"], -payment["amount"])
        order["payment_history"].append({**payment, "transaction_type": "refund"})
    return store.keep({**order, "status": "cancelled", "cancel_reason": reason})


def modify_pending_order_address(store: Store, order_id: str, **address: str) -> Row:
    """Send a pending order elsewhere."""
    order = store.order(order_id, "pending", "pending (item modified)")
    return store.keep({**order, "address": address})


def modify_user_address(store: Store, user_id: str, **address: str) -> Row:
    """Change where a user lives."""
    user = {**store.user(user_id), "address": address}
    store.users[user_id] = user
    return user


def modify_pending_order_payment(store: Store, order_id: str, payment_method_id: str) -> Row:
    """Pay a pending order in another way."""
    order = store.order(order_id, "pending", "pending (item modified)")
    [paid] = [one for one in order["payment_history"] if one["transaction_type"] == "payment"]
    if paid["payment_method_id"] == payment_method_id:
        raise TryDifferently("It is paid in this way already.")
    store.pay(order["user_id"], payment_method_id, paid["amount"])
    store.pay(order["user_id"], paid["payment_method_id"], -paid["amount"])
    order["payment_history"] += [
        {**paid, "payment_method_id": payment_method_id},
        {**paid, "transaction_type": "refund"},
    ]
    return store.keep(order)


def modify_pending_order_items(
    store: Store,
    order_id: str,
    item_ids: list[str],
    new_item_ids: list[str],
    payment_method_id: str,
) -> Row:
    """Replace items of a pending order, once."""
    order = store.order(order_id, "pending")
    items, difference = _exchanged(store, order, item_ids, new_item_ids)
    store.pay(order["user_id"], payment_method_id, difference)
    return store.keep({**order, "items": items, "status": "pending (item modified)"})


def exchange_delivered_order_items(
    store: Store,
    order_id: str,
    item_ids: list[str],
    new_item_ids: list[str],
    payment_method_id: str,
) -> Row:
    """Have delivered items exchanged; items and money change hands when they come back."""
    order = store.order(order_id, "delivered")
    _, difference = _exchanged(store, order, item_ids, new_item_ids)
    store.pay(order["user_id"], payment_method_id, difference, now=False)
    wanted = {"exchange_items": sorted(item_ids), "exchange_new_items": sorted(new_item_ids)}
    return store.keep({**order, **wanted, "status": "exchange requested"})


def return_delivered_order_items(
    store: Store, order_id: str, item_ids: list[str], payment_method_id: str
) -> Row:
    """Take delivered items back, to where they were paid from or to a gift card."""
    order = store.order(order_id, "delivered")
    _held(order, item_ids)
    methods = store.user(order["user_id"])["payment_methods"]
    if payment_method_id not in methods:
        raise TryDifferently("This user has no such method of payment.")
    paid_with = {one["payment_method_id"] for one in order["payment_history"]}
    if payment_method_id not in paid_with and methods[payment_method_id]["source"] != "gift_card":
        raise TryDifferently("Refunds go to where they were paid from, or to a gift card.")
    wanted = {"return_items": sorted(item_ids), "return_payment_method_id": payment_method_id}
    return store.keep({**order, **wanted, "status": "return requested"})


def get_order_details(store: Store, order_id: str) -> Row:
    """Return an order."""
    return store.order(order_id)


def get_user_details(store: Store, user_id: str) -> Row:
    """Return a user."""
    return store.user(user_id)


def _held(order: Row, item_ids: Sequence[str]) -> None:
    missing = Counter(item_ids) - Counter(item["item_id"] for item in order["items"])
    if missing:
        raise TryDifferently(f"The order has no item {next(iter(missing))}.")


def _exchanged(
    store: Store, order: Row, item_ids: Sequence[str], new_item_ids: Sequence[str]
) -> tuple[list[Row], float]:
    """Return the items after an exchange, and what it costs."""
    _held(order, item_ids)
    if len(item_ids) != len(new_item_ids):
        raise TryDifferently("For each item there has to be one that replaces it.")
    items, difference = list(order["items"]), 0.0
    for old_id, new_id in zip(item_ids, new_item_ids, strict=True):
        place = next(at for at, item in enumerate(items) if item["item_id"] == old_id)
        old = items[place]
        new = store.variant(old["product_id"], new_id)
        difference += new["price"] - old["price"]
        new.pop("available")
        items[place] = {**old, **new}
    return items, round(difference, 2)


def _rows(path: Path) -> dict[str, Row]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {row["key"]: row["value"] for row in map(json.loads, lines)}


_READS: dict[str, Callable[..., Row]] = {
    "get_order_details": get_order_details,
    "get_user_details": get_user_details,
}
_WRITES: dict[str, Callable[..., Row]] = {
    "cancel_pending_order": cancel_pending_order,
    "exchange_delivered_order_items": exchange_delivered_order_items,
    "modify_pending_order_address": modify_pending_order_address,
    "modify_pending_order_items": modify_pending_order_items,
    "modify_pending_order_payment": modify_pending_order_payment,
    "modify_user_address": modify_user_address,
    "return_delivered_order_items": return_delivered_order_items,
}
