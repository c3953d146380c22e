"""Engines beyond one Postgres and one machine."""
