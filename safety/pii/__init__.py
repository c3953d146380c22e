"""Finds personal data by its form: numbers with check digits, addresses, names that are known."""

from safety.pii.detector import KINDS, Pii

__all__ = ["KINDS", "Pii"]
