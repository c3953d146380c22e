"""Postgres: the embedded server, migrations, the pool and everything asked of it."""
