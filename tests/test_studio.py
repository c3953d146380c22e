"""LangGraph Studio's server finds the graph, shows it and runs a turn, and stays on the machine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from graphs import chat
from tests.offline import spied
from tests.project import ROOT


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the spy writes."""
    return tmp_path_factory.mktemp("studio") / "spy.jsonl"


@pytest.fixture(scope="module")
def studio(log: Path) -> Iterator[httpx.Client]:
    """A client of the server that `make studio` starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    venv = os.path.relpath(sys.prefix, ROOT)  # whatever runs the tests; nothing is installed
    output = log.with_name("output")
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["make", f"--assume-old={venv}/.dev", "studio", f"VENV={venv}", f"ARGS=--port {port}"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(log.parent),
                "DATABASE_FOLDER": str(log.parent / "postgres"),
                **spied(log),
            },
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # Retries wait for the server to listen; it listens when everything is open.
    transport = httpx.HTTPTransport(retries=8)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=60
        ) as client:
            try:
                client.get("/ok").raise_for_status()
            except httpx.HTTPError as error:
                raise AssertionError(output.read_text(encoding="utf-8")) from error
            yield client
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()


def test_the_graph_is_offered(studio: httpx.Client) -> None:
    """There is one assistant, and its drawing has the nodes of a turn."""
    [assistant] = studio.post("/assistants/search", json={}).json()
    assert assistant["graph_id"] == "chat"
    drawn = studio.get(f"/assistants/{assistant['assistant_id']}/graph").json()
    nodes = {node["id"] for node in drawn["nodes"]}
    assert nodes == {*chat.NODES, "__start__", "__end__"}


def test_what_studio_asks_for_is_described(studio: httpx.Client) -> None:
    """The input form of Studio is built from a schema that has the user's text."""
    [assistant] = studio.post("/assistants/search", json={}).json()
    schema = studio.get(f"/assistants/{assistant['assistant_id']}/schemas").json()
    assert "text" in json.dumps(schema["input_schema"])


def test_a_turn_runs(studio: httpx.Client) -> None:
    """A turn run from Studio ends with an answer."""
    body = {"assistant_id": "chat", "input": {"text": "Hello"}}
    state = studio.post("/runs/wait", json=body).json()
    assert state["intent"] == "small_talk"
    assert state["answer"]


def test_nothing_left_the_machine(studio: httpx.Client, log: Path) -> None:
    """Neither the server nor what it starts looked a name up or connected out."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    started = [record["started"] for record in records if "started" in record]
    assert any("langgraph_cli dev" in command for command in started)
    assert any("-m tgi serve" in command for command in started)
    assert [record for record in records if "event" in record] == []


def test_the_configuration_names_what_is_there() -> None:
    """langgraph.json points at module-level objects, by module so that both share one instance."""
    configuration = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))
    for target in (*configuration["graphs"].values(), configuration["http"]["app"]):
        module, name = target.split(":")
        source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
        assert re.search(rf"^{name} = ", source, re.MULTILINE)
