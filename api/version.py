"""The version of Parley; tests/api/test_version.py keeps it equal to pyproject.toml's."""

VERSION = "0.1.0"
