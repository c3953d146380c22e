"""Shares with their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

Z = 1.959964  # 95 %


class Share(TypedDict):
    """How many of how many, with a 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float
    n: int


def share(hits: Sequence[bool]) -> Share:
    """Return the share of True in `hits`; an empty list has the value 0 and no information."""
    n = len(hits)
    if n == 0:
        return Share(value=0.0, low=0.0, high=1.0, n=0)
    p = sum(hits) / n
    centre = p + Z * Z / (2 * n)
    reach = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    return Share(
        value=round(p, 4),
        low=round((centre - reach) / scale, 4),
        high=round((centre + reach) / scale, 4),
        n=n,
    )


def mean_share(runs: Sequence[Sequence[bool]]) -> Share:
    """Return the mean share over repetitions on the same cases, its interval that of one of them.

    Repetitions are no new cases: they do not make the interval smaller.
    """
    n = len(runs[0])
    mean = sum(sum(run) for run in runs) / (n * len(runs)) if n else 0.0
    one = share([place < round(mean * n) for place in range(n)])
    return {**one, "value": round(mean, 4)}


def percentile(values: Sequence[float], q: float) -> float:
    """Return the `q`-quantile (0 to 1) of `values` by linear interpolation."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
