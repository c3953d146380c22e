"""One real server for the whole session: everything embedded, a few documents read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.reviewing import desk, http, keys
from tests.api.served import Served, serving

__all__ = ["desk", "http", "keys"]  # fixtures

DOCUMENTS = {
    "backup.md": """# Backups

## Make a backup
The nightly job writes a backup of the harbour database to the vault at 02:30.
A backup takes about eleven minutes and is encrypted with the operator's key.

## Restore a backup
To restore a backup, stop the server, run the restore command with the date, and start it again.
A restore of the harbour database takes about forty minutes.
""",
    "lighthouse.md": """# The lighthouse of Wendelmoor

The lighthouse of Wendelmoor was built in 1887 by the engineer Ada Kestrel.
Its lamp is visible for nineteen nautical miles in clear weather.
The keeper climbs two hundred and twelve steps to reach the lantern room.
""",
    "vacation.txt": """Vacation policy

Employees of the harbour office have twenty-eight days of vacation a year.
Vacation is requested in the portal at least two weeks before it begins.
Unused vacation expires at the end of March of the following year.
""",
}


@pytest.fixture(scope="session")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of documents."""
    folder = tmp_path_factory.mktemp("knowledge")
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory, knowledge: Path) -> Iterator[Served]:
    """A server that has read the documents."""
    with serving(Served(tmp_path_factory.mktemp("live"), docs=[knowledge])) as served:
        yield served


@pytest.fixture
def client(live: Served) -> Iterator[httpx.Client]:
    """A client of the live server."""
    with httpx.Client(base_url=live.url, timeout=60) as opened:
        yield opened
