"""python -m knowledge, as people run it: real processes, a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """What the command finds in its environment."""
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "120",
    }


@pytest.fixture
def knowledge(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run the command: `knowledge("ingest", path)`, in the folder of the test."""

    def run(*arguments: object, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "knowledge", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | changes,
            check=False,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with two good files and a bad one."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "ferry.md").write_text("# Ferry\n\nThe ferry to Texel leaves every half hour.\n")
    (folder / "cats.md").write_text("# Cats\n\nCats sleep most of the day.\n")
    (folder / "broken.pdf").write_bytes(b"\x89PNG")
    return folder


def test_a_folder_goes_in_is_searched_and_goes_out(knowledge: Run, docs: Path) -> None:
    """The four commands work on one another's results, whichever way a path is written."""
    done = knowledge("ingest", "docs")
    assert done.returncode == 0, done.stderr
    assert "added 2, changed 0, unchanged 0, removed 0, failed 1: 2 chunks" in done.stdout
    assert "docs/broken.pdf: document_unreadable: It is called .pdf" in done.stdout

    found = knowledge("search", "When does the ferry leave?", "--limit", 1)
    assert "The ferry to Texel" in found.stdout
    assert "Cats" not in found.stdout

    listed = knowledge("list")
    assert (docs / "ferry.md").as_uri() in listed.stdout
    assert "2 of 2 documents, 2 chunks in all" in listed.stdout
    assert "1 of 2 documents" in knowledge("list", docs / "cats.md").stdout

    assert "removed 1 document" in knowledge("remove", (docs / "ferry.md").as_uri()).stdout
    assert "removed 1 document" in knowledge("remove", "docs").stdout
    assert "empty" in knowledge("search", "ferry").stdout


def test_machines_get_json(knowledge: Run, docs: Path) -> None:
    """With --json every command prints one JSON value and nothing else on stdout."""
    summary = json.loads(knowledge("ingest", docs, "--json").stdout)
    assert (summary["added"], summary["failed"], summary["chunks"]) == (2, 1, 2)
    assert summary["failures"][0]["code"] == "document_unreadable"
    passages = json.loads(knowledge("search", "ferry", "--json").stdout)
    assert passages[0]["title"] == "Ferry"
    assert {"fused", "late"} <= set(passages[0]["scores"]) <= {"vector", "keyword", "fused", "late"}
    assert [entry["title"] for entry in json.loads(knowledge("list", "--json").stdout)] == [
        "Cats",
        "Ferry",
    ]


@pytest.mark.parametrize("name", ["missing", "docs/broken.pdf", "empty"])
def test_nothing_read_is_a_failure(knowledge: Run, docs: Path, tmp_path: Path, name: str) -> None:
    """A path that does not exist, a file that cannot be read, and an empty folder exit with 1."""
    (tmp_path / "empty").mkdir()
    assert knowledge("ingest", name).returncode == 1


def test_a_missing_path_fails_but_the_others_are_read(knowledge: Run, docs: Path) -> None:
    """The missing path is named."""
    done = knowledge("ingest", "missing", "docs")
    assert done.returncode == 1
    assert "missing: not_found:" in done.stdout
    assert "added 2" in done.stdout


def test_removing_what_is_not_there_says_so(knowledge: Run) -> None:
    """The sentence names the command that shows what there is."""
    done = knowledge("remove", "file:///nowhere.md")
    assert done.returncode == 1
    assert "python -m knowledge list" in done.stderr


@pytest.mark.parametrize("command", [("ingest", "docs"), ("search", "x"), ("list",)])
def test_a_missing_database_is_a_sentence(
    knowledge: Run, docs: Path, command: tuple[str, ...]
) -> None:
    """No stack trace reaches the terminal."""
    done = knowledge(*command, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "The database does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_a_sentence(knowledge: Run, docs: Path) -> None:
    """The setting is named."""
    done = knowledge("ingest", "docs", KNOWLEDGE_CHUNK_TOKENS="5000")
    assert done.returncode == 1
    assert "KNOWLEDGE_CHUNK_TOKENS" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_ingestion_ends_quietly_and_goes_on_later(
    knowledge: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C ends it without a stack trace, and the next run does the rest."""
    lines = [json.dumps({"id": n, "text": f"This is text number {n}."}) for n in range(400)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    running = subprocess.Popen(
        [sys.executable, "-m", "knowledge", "ingest", "a.jsonl"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, as in a terminal
    )
    with running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("200 documents"):
                break
        os.killpg(running.pid, signal.SIGINT)
        assert "Traceback" not in running.stderr.read()
        assert running.wait() == 130
    rest = json.loads(knowledge("ingest", "a.jsonl", "--json").stdout)
    assert rest["unchanged"] >= 200
    assert rest["added"] + rest["unchanged"] == 400


def test_documents_cannot_command_the_terminal(knowledge: Run, tmp_path: Path) -> None:
    """Escape sequences and markup in a text are shown as text."""
    (tmp_path / "a.md").write_text("# \x1b[31mRed\n\nA [bold]word[/bold] and \x1b]0;title\x07 end.")
    knowledge("ingest", "a.md")
    shown = knowledge("search", "word").stdout + knowledge("list").stdout
    assert "\x1b" not in shown
    assert "[bold]word[/bold]" in shown
