from __future__ import annotations

import importlib.util
import sys

import pytest

from core.errors import SettingsInvalid
from safety.presidio import Presidio

INSTALLED = importlib.util.find_spec("presidio_analyzer") is not None
needs_extra = pytest.mark.skipif(
    not INSTALLED, reason="presidio-analyzer is not installed: the extra presidio is not tested"
)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is a setting that is wrong, with the command that helps."""
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(SettingsInvalid, match="pip install presidio-analyzer"):
        Presidio.build()


@pytest.fixture(scope="module")
def presidio() -> Presidio:
    """The recognisers, built once: seconds."""
    return Presidio.build()


@needs_extra
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "maria@example.com"),
        ("credit_card", "4111111111111111"),
        ("iban", "GB33BUKB20201555555555"),
        ("ip_address", "193.138.216.192"),
    ],
)
def test_it_finds_what_has_a_form(presidio: Presidio, kind: str, value: str) -> None:
    """Kinds with check digits or a form of their own are found, whole."""
    text = f"It is {value} today"
    assert [(hit.kind, text[hit.start : hit.end]) for hit in presidio.find(text)] == [(kind, value)]


@needs_extra
def test_digits_alone_are_below_the_threshold(presidio: Presidio) -> None:
    """A timestamp and an order are neither a bank account nor a licence."""
    assert presidio.find("Order 98765432101 at 1732233600") == []
