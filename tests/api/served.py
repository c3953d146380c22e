"""A real server process, and what tests need to talk to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
READY = re.compile(r"ready in [\d.]+ s at (http://\S+)")


@dataclass
class Served:
    """A server process; it can be killed and started again over the same data."""

    folder: Path  # data and logs
    docs: Sequence[Path] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    said: str = ""  # what it printed until it was ready
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process and wait until it says that it is ready."""
        self.process = launch(
            ["run", *map(str, self.docs)] if self.docs else ["serve"], self.folder, self.settings
        )
        assert self.process.stdout is not None
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if found := READY.match(line):
                self.url = found.group(1)
                return
        raise AssertionError(f"the server did not start:\n{self.said}\n{self.log}")

    def kill(self) -> None:
        """kill -9, as a crash or the OOM killer would."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """Ask for an orderly end and return the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end and return the exit status."""
        assert self.process is not None
        self.process.communicate()
        return self.process.returncode

    @property
    def log(self) -> str:
        """Everything it has logged so far."""
        return (self.folder / "log").read_text(encoding="utf-8")


def launch(
    arguments: Sequence[str], folder: Path, settings: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start `python -m api` in `folder`, where no .env of a developer is."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "api", *arguments],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "PYTHONPATH": str(ROOT),
                "API_PORT": "0",
                "API_DRAIN_SECONDS": "5",
                "DATABASE_FOLDER": str(folder / "postgres"),
                "LOG_FORMAT": "json",
                "CACHE_ENABLED": "false",  # most tests ask the same and look at whole turns
                **settings,
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


@contextmanager
def serving(served: Served) -> Iterator[Served]:
    """Start a server, and leave nothing of it behind."""
    try:
        served.start()
        yield served
    finally:
        if served.process is not None and served.process.poll() is None:
            served.stop()


@contextmanager
def slow_model(folder: Path, *, tokens_per_second: float) -> Iterator[str]:
    """Yield the URL of a model server that takes its time over each token."""
    with (folder / "model.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tgi", "serve", "--port", "0"),
                *("--with-parent", "--tokens-per-second", str(tokens_per_second)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "model.log").read_text(encoding="utf-8")
        yield json.loads(line)["url"]
    finally:
        process.communicate()  # closing its stdin ends it


@dataclass(frozen=True)
class Sse:
    """One server-sent event as a client reads it."""

    id: int
    type: str
    data: Any


def sse_events(lines: Iterator[str]) -> Iterator[Sse]:
    """Yield the events in the lines of a stream; comments and `retry` are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            continue
        if "data" in fields:
            yield Sse(
                int(fields.get("id", -1)), fields.get("event", ""), json.loads(fields["data"])
            )
        fields = {}


def new_thread(client: httpx.Client) -> str:
    """Begin a conversation and return its id."""
    answer = client.post("/v1/threads", json={})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["thread_id"])


def stream_run(client: httpx.Client, thread_id: str, text: str) -> list[Sse]:
    """Run one turn and return its events."""
    path = f"/v1/threads/{thread_id}/runs"
    with client.stream("POST", path, json={"input": text, "stream": True}) as response:
        assert response.status_code == 200
        return list(sse_events(response.iter_lines()))
