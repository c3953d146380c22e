"""Documents over HTTP, with the worker that the server brings along."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.served import Served, serving

LIMIT_MB = 1
NOTE = b"# The weir\n\nThe weir of Oldmoor holds back eleven thousand tonnes of water.\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without documents that takes small uploads."""
    settings = {"KNOWLEDGE_MAX_DOCUMENT_MB": str(LIMIT_MB), "KNOWLEDGE_WORKER_TIMEOUT_SECONDS": "2"}
    with serving(Served(tmp_path_factory.mktemp("documents"), settings=settings)) as served:
        yield served


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def put(http: httpx.Client, name: str, content: bytes, **params: Any) -> httpx.Response:
    """Upload a document."""
    return http.put(f"/v1/documents/{name}", content=content, params=params)


def settled(http: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """Return the ingestion that an upload began, once it came to an end."""
    assert answer.status_code in {200, 202}, answer.text
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = http.get(answer.headers["Location"]).json()
        if found["state"] not in {"queued", "working"}:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def ask(http: httpx.Client, text: str) -> str:
    """Return the answer to a question."""
    body = {"model": "parley", "messages": [{"role": "user", "content": text}]}
    answer = http.post("/v1/chat/completions", json=body).json()
    return str(answer["choices"][0]["message"]["content"])


def test_an_upload_is_read_answered_from_and_deleted(http: httpx.Client) -> None:
    """From the bytes to an answer with a citation, and after the deletion to none."""
    answer = put(http, "weir.md", NOTE, label="water")
    assert answer.status_code == 202
    assert answer.json()["state"] in {"queued", "working", "done"}
    done = settled(http, answer)
    assert (done["state"], done["outcome"], done["error"]) == ("done", "added", None)
    found = http.get(f"/v1/documents/{done['document_id']}").json()
    assert found["title"] == "The weir"
    assert found["uri"] == "upload:/weir.md"
    assert found["labels"] == ["water"]
    assert "eleven thousand" in ask(http, "How much water does the weir of Oldmoor hold back?")
    assert http.delete(f"/v1/documents/{done['document_id']}").status_code == 204
    gone = http.get(f"/v1/documents/{done['document_id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "document_not_found")
    said = ask(http, "How much water is held back by the weir of Oldmoor?")
    assert "eleven thousand" not in said


def test_the_same_again_is_no_work(http: httpx.Client) -> None:
    """The same bytes under the same name are the same ingestion; other bytes are a new one."""
    first = settled(http, put(http, "same.md", b"# Same\n\nThe old text of the note."))
    again = put(http, "same.md", b"# Same\n\nThe old text of the note.")
    assert (again.status_code, again.json()["ingestion_id"]) == (200, first["ingestion_id"])
    other = settled(http, put(http, "same.md", b"# Same\n\nThe new text of the note."))
    assert other["ingestion_id"] != first["ingestion_id"]
    assert other["outcome"] == "changed"
    assert other["document_id"] == first["document_id"]


def test_what_was_deleted_can_be_uploaded_again(http: httpx.Client) -> None:
    """After a deletion the same bytes are read anew."""
    content = b"# Again\n\nA note that goes and comes back."
    first = settled(http, put(http, "again.md", content))
    http.delete(f"/v1/documents/{first['document_id']}")
    second = put(http, "again.md", content)
    assert second.status_code == 202
    assert settled(http, second)["outcome"] == "added"


def test_a_file_that_cannot_be_read_is_parked_with_its_reason(http: httpx.Client) -> None:
    """The reason is told, and a better file under the name replaces it."""
    parked = settled(http, put(http, "report.pdf", b"%PDF-1.7 and nothing more"))
    assert parked["state"] == "parked"
    assert parked["error"]["code"] == "document_unreadable"
    assert parked["error"]["message"]
    assert parked["document_id"] is None
    assert 'parley_jobs{state="failed"} 1.0' in http.get("/metrics").text
    better = settled(http, put(http, "report.pdf.md", b"# Report\n\nAll is well."))
    assert better["state"] == "done"


def test_pages_and_access(http: httpx.Client) -> None:
    """Lists come in pages, by uri; a document of somebody else is not in them."""
    for name in ("p1.txt", "p2.txt", "p3.txt"):
        settled(http, put(http, name, f"A note called {name}.".encode(), label="pages"))
    hidden = settled(http, put(http, "p0.txt", b"A secret note.", owner="ada", label="pages"))
    assert hidden["state"] == "done"
    assert hidden["document_id"] is None
    first = http.get("/v1/documents", params={"label": "pages", "limit": 2}).json()
    rest = http.get("/v1/documents", params={"label": "pages", "cursor": first["next"]}).json()
    found = [document["uri"] for document in [*first["documents"], *rest["documents"]]]
    assert found == ["upload:/p1.txt", "upload:/p2.txt", "upload:/p3.txt"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("name", "content", "params", "status", "code"),
    [
        ("empty.md", b"", {}, 422, "document_empty"),
        ("large.md", b"x" * (LIMIT_MB << 20 | 1), {}, 413, "body_too_large"),
        ("n" * 201, b"x", {}, 422, "input_too_long"),
        ("%00", b"x", {}, 422, "invalid_input"),
        ("%1b[31m", b"x", {}, 422, "invalid_input"),
        ("a.md", b"x", {"owner": ""}, 422, "invalid_input"),
        ("a.md", b"x", {"label": "l" * 201}, 422, "invalid_input"),
    ],
)
def test_refusals_are_typed(
    http: httpx.Client, name: str, content: bytes, params: dict[str, str], status: int, code: str
) -> None:
    """What cannot be taken is told at once, with a code."""
    answer = put(http, name, content, **params)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_body_without_an_honest_length_is_limited_too(http: httpx.Client) -> None:
    """A chunked upload that grows beyond the limit is cut off."""
    pieces = (b"x" * 65536 for _ in range(40))
    answer = http.put("/v1/documents/chunked.md", content=pieces)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/v1/documents/x", "/v1/ingestions/x"])
def test_unknown_ids_are_not_found(http: httpx.Client, path: str) -> None:
    """What is not an id, or nobody's, is a 404."""
    for unknown in (path, path[:-1] + "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10"):
        assert http.get(unknown).status_code == 404


def test_a_cursor_of_somebody_else_is_refused(http: httpx.Client) -> None:
    """A cursor that we did not write is a typed error."""
    for cursor in ("%%%", "AAA=", "_w=="):
        answer = http.get("/v1/documents", params={"cursor": cursor})
        assert answer.status_code == 422, cursor


def test_an_upload_outlives_the_server(tmp_path: Path) -> None:
    """What was accepted is read by the next process, though the first was killed at once."""
    served = Served(tmp_path, settings={"KNOWLEDGE_WORKERS": "0"})
    with serving(served):
        with httpx.Client(base_url=served.url, timeout=60) as http:
            waiting = put(http, "kept.md", NOTE)
            assert waiting.json()["state"] == "queued"
            assert 'parley_jobs{state="todo"} 1.0' in http.get("/metrics").text
        served.kill()
        served.settings = {"KNOWLEDGE_WORKERS": "1"}
        served.start()
        with httpx.Client(base_url=served.url, timeout=60) as http:
            assert settled(http, waiting)["state"] == "done"
