"""The examples in the documentation run, and Parley answers what newcomers ask from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.served import Served, new_thread, serving, stream_run
from tests.project import ROOT

URL = "http://127.0.0.1:8080"
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "docs"]
# Question, and the pages that may be cited for the answer.
QUESTIONS = {
    "What is Parley?": "",
    "How do I run the tests?": "",
    "Where is my data stored?": "operations.md",
    "What happens when the server is killed?": "operations.md",
    "Which file types can be ingested?": "documents.md",
    "How do I use my own Postgres?": "operations.md",
    "What is the default model?": "models.md",
    "How do I reconnect to a stream?": "api.md",
}


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page in this language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def parley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What `make run` starts: a server that has read its own documentation."""
    with serving(Served(tmp_path_factory.mktemp("parley"), docs=DOCUMENTS)) as served:
        yield served


@pytest.fixture
def client(parley: Served) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=parley.url, timeout=60) as opened:
        yield opened


def run(command: list[str], parley: Served, **environment: str) -> str:
    """Run an example as it stands, but against our server; return what it printed."""
    result = subprocess.run(
        [argument.replace(URL, parley.url) for argument in command],
        cwd=parley.folder,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def curl(page: str) -> list[str]:
    """Return the shell blocks of a page that talk to the server."""
    return [block for block in blocks(page, "bash") if "curl" in block]


def test_curl_gets_an_answer(parley: Served) -> None:
    """The first example of the README answers from the documentation, with a citation."""
    printed = run(["bash", "-eu", "-o", "pipefail", "-c", curl("README.md")[0]], parley)
    assert "Markdown" in printed
    assert '"citations":[{' in printed


def test_the_openai_sdk_gets_an_answer(parley: Served) -> None:
    """The Python example prints an answer and where it stands."""
    [example] = blocks("README.md", "python")
    answer, *citations = run([sys.executable, "-c", example], parley).splitlines()
    assert "GPU" in answer
    assert citations
    assert all(re.match(r"\d+ file:///\S+ .+", citation) for citation in citations)


def test_curl_follows_a_run(parley: Served) -> None:
    """The example of the native API prints the events of a turn up to its end."""
    printed = run(["bash", "-eu", "-o", "pipefail", "-c", curl("README.md")[1]], parley)
    assert "event: run.started" in printed
    assert "event: citation" in printed
    assert "event: run.finished" in printed


def test_curl_reconnects_to_a_stream(parley: Served, client: httpx.Client) -> None:
    """The example of the API guide continues after the event that it names."""
    thread = new_thread(client)
    events = stream_run(client, thread, "What is Parley?")
    [example] = curl("docs/guides/api.md")
    printed = run(
        ["bash", "-eu", "-c", example], parley, thread=thread, run=events[0].data["run_id"]
    )
    assert re.findall(r"^id: (\d+)$", printed, re.MULTILINE) == [
        str(event.id) for event in events if event.id > 7
    ]


@pytest.mark.parametrize(("question", "page"), QUESTIONS.items())
def test_newcomers_get_answers(client: httpx.Client, question: str, page: str) -> None:
    """What the documentation explains, Parley answers from the page that explains it."""
    events = stream_run(client, new_thread(client), question)
    [message] = [event.data for event in events if event.type == "message.finished"]
    assert not message["abstained"], question
    cited = {Path(citation["uri"]).name for citation in message["citations"]}
    assert cited
    assert not page or page in cited, (cited, message["content"])


def test_what_the_documentation_does_not_say_is_not_answered(client: httpx.Client) -> None:
    """Parley does not make up what is in no document."""
    events = stream_run(client, new_thread(client), "Who won the chess world championship in 1972?")
    [message] = [event.data for event in events if event.type == "message.finished"]
    assert message["abstained"]
    assert message["citations"] == []


@pytest.mark.parametrize(
    "page", ["README.md", *(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/**/*.md"))]
)
def test_shell_examples_are_valid(page: str) -> None:
    """Every shell block is at least valid bash, and every `python -m` in it exists."""
    for block in blocks(page, "bash"):
        subprocess.run(["bash", "-n", "-c", block], check=True)
        for module, command in re.findall(r"python -m (\w+) (\w+)", block):
            text = (ROOT / module / "__main__.py").read_text(encoding="utf-8")
            assert re.search(rf'def {command}\(|command\("{command}"\)', text), (module, command)
