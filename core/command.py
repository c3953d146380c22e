"""What every `python -m ROOM` does the same way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from core.errors import ParleyError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command; what is expected to fail ends it with a sentence."""
    try:
        return asyncio.run(work)
    except ParleyError as error:
        raise SystemExit(
            f"{error.message}\n{error.hint}" if error.hint else error.message
        ) from error
    except KeyboardInterrupt:
        # What was stored stays stored; the next run goes on from there.
        raise SystemExit(130) from None
