"""Makes what a trace carries fit for the wire: masked, and text that can be encoded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from core.text import scrub

FAILED = "<withheld: the mask failed>"


class Clean:
    """Applies the mask to every text in a value."""

    def __init__(self, mask: Callable[[str], str] | None = None) -> None:
        self._mask = mask

    def text(self, value: str) -> str:
        """Return `value` masked; one lone surrogate would cost its whole batch of spans.

        A text that is a data URI as a whole is described instead: the SDK would upload it.
        """
        if self._mask is not None:
            try:
                value = self._mask(value)
            except Exception:  # noqa: BLE001 - whatever it was, the text must not leave
                return FAILED
        if value.startswith("data:"):
            return f"<data URI of {len(value)} characters>"
        return scrub(value)

    def __call__(self, value: Any) -> Any:
        """Return a copy of plain data with every text in it cleaned."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(key)): self(item) for key, item in value.items()}
            case list() | tuple():
                return [self(item) for item in value]
            case float() if not math.isfinite(value):
                return None
            case None | bool() | int() | float():
                return value
        return self.text(str(value))
