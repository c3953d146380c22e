"""When a document says that it was written, whatever way it says it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

PDF_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?([Zz]|[+-]\d\d'?\d\d'?)?")
EARLIEST_YEAR = 1900  # before it stand the zeros of clocks that were never set


def moment(value: Any) -> datetime | None:
    """Return a date or an ISO 8601 text as a moment; None for what is neither.

    Without a time zone it is taken for UTC: what was meant is not known, and days suffice.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime) or value.year < EARLIEST_YEAR:
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def pdf_moment(value: Any) -> datetime | None:
    """Return the date of a PDF, `D:20240131120000+01'00'` or parts of it, as a moment."""
    found = PDF_DATE.match(str(value or "").strip())
    if found is None:
        return moment(value)
    year, month, day, hour, minute, second, zone = found.groups()
    zone = "+0000" if zone in {None, "Z", "z"} else zone.replace("'", "")
    written = f"{year}-{month or '01'}-{day or '01'}T{hour or '00'}:{minute or '00'}"
    return moment(f"{written}:{second or '00'}{zone}")
