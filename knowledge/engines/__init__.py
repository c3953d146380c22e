"""Engines beyond one Postgres and one machine: where vectors are searched, where files are read."""
