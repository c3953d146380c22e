"""What every failure has."""

from __future__ import annotations

import inspect
from typing import ClassVar


class ParleyError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or " ".join((inspect.getdoc(type(self)) or "").split())
        self.hint = hint
        super().__init__(self.message)
