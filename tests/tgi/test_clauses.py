"""Stretches of a request that properties ask for by their names."""

from __future__ import annotations

from typing import Any

import pytest

from tgi.embedded.filling import fill
from tools.calculate import Expression
from tools.run_python import Program
from tools.shop.actions import CancelOrder, ChangeAddress, OpenTicket, RefundOrder


@pytest.mark.parametrize(
    ("model", "text", "values"),
    [
        (
            RefundOrder,
            "Refund 25.00 EUR of order A-1002 because it arrived broken",
            {"order_id": "A-1002", "cents": 2500, "reason": "it arrived broken"},
        ),
        (
            RefundOrder,
            "Please refund 12 euros of A-1001, it was too small",
            {"order_id": "A-1001", "cents": 1200, "reason": "it was too small"},
        ),
        (
            RefundOrder,
            "Refund 250 cents of order A-1001 because of the scratch",
            {"order_id": "A-1001", "cents": 250, "reason": "the scratch"},
        ),
        (
            CancelOrder,
            "Cancel order A-1007, the customer changed his mind",
            {"order_id": "A-1007", "reason": "the customer changed his mind"},
        ),
        (
            ChangeAddress,
            "Send A-1008 to Hauptstraße 5, 10827 Berlin because I moved",
            {"order_id": "A-1008", "address": "Hauptstraße 5, 10827 Berlin"},
        ),
        (
            OpenTicket,
            "Open a ticket about order A-1001: the box was empty. Please hurry.",
            {
                "order_id": "A-1001",
                "subject": "the box was empty",
                "body": "the box was empty. Please hurry.",
            },
        ),
        (Expression, "What is 17 * 23?", {"expression": "17 * 23"}),
        (Expression, "Calculate 12.5% of 480", {"expression": "12.5% of 480"}),
        (Program, "Run this: `print(2 ** 10)`", {"code": "print(2 ** 10)"}),
    ],
)
def test_a_request_fills_what_it_says(model: Any, text: str, values: dict[str, Any]) -> None:
    """Reasons, addresses, formulas and programs as a whole; money in the unit of its property."""
    filled = fill(model.model_json_schema(), text)
    assert filled.values == values
    assert filled.missing == []


@pytest.mark.parametrize("text", ["Refund order A-1002", "Refund 5 EUR of order A-1002"])
def test_nothing_is_made_up(text: str) -> None:
    """What the request does not say stays open."""
    assert "reason" in fill(RefundOrder.model_json_schema(), text).missing
