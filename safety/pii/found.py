"""What a finder of personal data says, and what each kind weighs."""

from __future__ import annotations

from dataclasses import dataclass

from safety.verdict import Severity

SEVERITIES: dict[str, Severity] = {
    "credit_card": "high",
    "iban": "high",
    "us_ssn": "high",
    "passport": "high",
    "national_id": "high",
    "us_driver_license": "high",
    "email": "medium",
    "phone": "medium",
    "date_of_birth": "medium",
    "crypto_wallet": "medium",
    "ip_address": "low",
    "mac_address": "low",
    "name": "low",
    "url": "low",
}
"""Every kind there is, by what it can do to a person; a policy may see that otherwise."""


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of personal data in a folded text."""

    kind: str
    start: int
    end: int  # exclusive
    score: float = 1.0  # how sure: 1 with a checksum or an unmistakable form
