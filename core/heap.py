"""Garbage collection in a process that serves."""

from __future__ import annotations

import gc


def settle() -> None:
    """Take all that exists now out of the collector's sight, because it stays.

    Libraries alone are some 400 000 objects; looking through them stops every conversation of
    the process for 150 to 250 ms, whenever enough new objects have lived for a while.
    Call it once, when everything that stays is there; it takes as long itself.
    """
    gc.collect()
    gc.freeze()
