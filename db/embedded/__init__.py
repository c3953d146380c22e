"""A Postgres of our own in a folder: started with the application, shared by its processes."""

from db.embedded.launch import EmbeddedPostgres, embedded_postgres, join

__all__ = ["EmbeddedPostgres", "embedded_postgres", "join"]
