"""Ingestion by Ray: the same as in one process, also when workers die."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsInvalid
from core.settings import KnowledgeSettings
from db.pool import Database
from embeddings.minilm import MiniLM
from knowledge.engines.ray import ingest
from knowledge.ingest import ingest as ingest_here
from tests.offline import spied
from tests.project import ROOT

FILES = 8
DOCUMENTS = FILES + 3  # lines of JSON


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="the extra ray is not installed")
async def test_a_killed_worker_loses_and_repeats_nothing(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """Two workers, one killed in the middle: each document is stored once and counted once, a bad
    one is named, one process finds nothing left to do, and nothing has left the machine."""
    folder, log = tmp_path / "documents", tmp_path / "spy.jsonl"
    write(folder)
    summary = await asyncio.to_thread(session, database.url, folder, log)
    assert summary["killed"] == 1
    assert (summary["added"], summary["changed"], summary["unchanged"]) == (DOCUMENTS, 0, 0)
    assert [(Path(f["path"]).name, f["code"]) for f in summary["failures"]] == [
        ("broken.pdf", "document_unreadable")
    ]
    stored = await chunks(database, tenant)
    assert summary["chunks"] == len(stored)
    assert len({uri for uri, _, _ in stored}) == summary["reported"] == DOCUMENTS
    again = await ingest_here(
        database, embedder, [folder], tenant_id=tenant, settings=KnowledgeSettings()
    )
    assert (again.added, again.changed, again.unchanged) == (0, 0, DOCUMENTS)
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [record for record in records if "event" in record] == []


async def test_what_is_gone_is_forgotten_without_a_cluster(
    database: Database, embedder: MiniLM, tenant: str, tmp_path: Path
) -> None:
    """A folder that became empty needs no worker, and its documents go."""
    write(tmp_path / "documents")
    settings = KnowledgeSettings()
    await ingest_here(database, embedder, [tmp_path], tenant_id=tenant, settings=settings)
    await asyncio.to_thread(shutil.rmtree, tmp_path / "documents")
    summary = await ingest(database, [tmp_path], tenant_id=tenant, settings=settings)
    assert summary.removed == DOCUMENTS
    assert await chunks(database, tenant) == []


async def test_other_machines_cannot_reach_a_socket(
    database: Database, tenant: str, tmp_path: Path
) -> None:
    """The embedded Postgres serves this machine only, and that is said before anything starts."""
    with pytest.raises(SettingsInvalid, match="reach"):
        await ingest(
            database,
            [tmp_path],
            tenant_id=tenant,
            settings=KnowledgeSettings(),
            address="10.0.0.1:6379",
        )


def test_without_ray_the_extra_is_named(tmp_path: Path) -> None:
    """Who asks for Ray without having it is told what to install."""
    code = (
        "import asyncio, sys\n"
        "sys.modules['ray'] = None\n"
        "from core.errors import SettingsInvalid\n"
        "from knowledge.engines.ray import _cluster\n"
        "async def main():\n"
        "    async with _cluster(1, None): pass\n"
        "try: asyncio.run(main())\n"
        "except SettingsInvalid as error: print(error.hint)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "pip install 'ray" in result.stdout


def write(folder: Path) -> None:
    """Write documents of several chunks, three lines of JSON, and a file that is no PDF."""
    folder.mkdir(exist_ok=True)
    for number in range(FILES):
        text = f"The house number {number} has a red door and a green roof. " * 30
        (folder / f"{number}.md").write_text(f"# House {number}\n\n{text}\n", encoding="utf-8")
    lines = [json.dumps({"id": n, "text": f"Line {n} of the list."}) for n in range(3)]
    (folder / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")


def session(url: str, folder: Path, log: Path) -> dict[str, Any]:
    """Run tests.knowledge.engines.ray_session under the spy and return its report."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.knowledge.engines.ray_session", url, str(folder)],
        cwd=ROOT,
        env={**os.environ, **spied(log)},
        check=False,
        capture_output=True,
        text=True,
    )
    if "ClusterUnavailable: Ray does not start: The current node timed out" in result.stderr:
        pytest.skip("three times Ray needed more than its half minute to start: a busy machine")
    assert result.returncode == 0, result.stdout + result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


async def chunks(database: Database, tenant_id: str) -> list[tuple[str, int, str]]:
    """Return what is stored: uri, ordinal and text of each chunk."""
    async with database.transaction(tenant_id) as conn:
        cursor = await conn.execute(
            "select uri, ordinal, text from chunks join documents using (tenant_id, document_id)"
            " where tenant_id = %s order by uri, ordinal",
            [tenant_id],
        )
        return await cursor.fetchall()
