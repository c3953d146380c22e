"""Where TGI's description and its recorded answers are, and models behind real servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.tgi.scripted import ScriptedModel, serving
from tgi.embedded.server import create_app

SNAPSHOTS = Path(
    os.environ.get("TGI_SNAPSHOTS")
    or Path(__file__).resolve().parents[3] / "shared" / "tgi" / "snapshots"
)


@pytest.fixture
def snapshots() -> Path:
    """The folder of TGI's recorded answers; TGI_SNAPSHOTS names another one."""
    if not any(SNAPSHOTS.rglob("*.json")):
        pytest.skip(f"no recorded answers in {SNAPSHOTS}; set TGI_SNAPSHOTS")
    return SNAPSHOTS


@pytest.fixture
def model() -> ScriptedModel:
    """The model behind `embedded`."""
    return ScriptedModel()


@pytest.fixture
async def url(model: ScriptedModel) -> AsyncIterator[str]:
    """The address of an embedded server."""
    async with serving(create_app(model)) as address:
        yield address


@pytest.fixture
async def embedded(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A plain HTTP client of that server."""
    async with httpx.AsyncClient(base_url=url) as client:
        yield client
