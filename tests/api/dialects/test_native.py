"""Our own dialect, over a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.caller import Caller
from api.ids import owned
from core.errors import ThreadNotFound
from db import threads
from db.pool import Database
from tests.api.served import new_thread, sse_events, stream_run

QUESTION = "Who built the lighthouse of Wendelmoor?"
NOBODY = "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10"


def ask(client: httpx.Client, thread_id: str, text: str) -> Any:
    answer = client.post(
        f"/v1/threads/{thread_id}/runs", params={"wait": True}, json={"input": text}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_thread_lives(client: httpx.Client) -> None:
    """It is made, read, renamed, listed first and deleted."""
    made = client.post("/v1/threads", json={"title": "One", "metadata": {"a": [1]}})
    assert made.status_code == 201
    thread = made.json()
    assert made.headers["location"] == f"/v1/threads/{thread['thread_id']}"
    assert (thread["title"], thread["metadata"], thread["messages"]) == ("One", {"a": [1]}, 0)
    path = f"/v1/threads/{thread['thread_id']}"
    assert client.get(path).json() == thread
    assert client.patch(path, json={"title": "Two"}).json()["title"] == "Two"
    assert client.patch(path, json={"metadata": {}}).json()["metadata"] == {}
    assert client.get("/v1/threads").json()["threads"][0]["thread_id"] == thread["thread_id"]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


def test_a_thread_needs_no_body(client: httpx.Client) -> None:
    """An empty POST begins a conversation."""
    assert client.post("/v1/threads").json()["title"] == ""


def test_threads_come_in_pages(client: httpx.Client) -> None:
    """Following `next` meets every thread once, the last one used first."""
    made = [new_thread(client) for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/threads", params=query).json()
        seen += [thread["thread_id"] for thread in page["threads"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen[:5] == made[::-1]
    assert len(seen) == len(set(seen))


def test_a_turn_is_answered_from_the_documents(client: httpx.Client) -> None:
    """The finished message cites the passage it rests on."""
    answer = ask(client, new_thread(client), QUESTION)
    assert answer["run"]["status"] == "succeeded"
    message = answer["message"]
    assert "Ada Kestrel" in message["content"]
    assert "[1]" in message["content"]
    assert message["citations"][0]["uri"].endswith("lighthouse.md")


def test_messages_come_in_pages(client: httpx.Client) -> None:
    """Two turns are four messages, numbered, in order."""
    thread_id = new_thread(client)
    for text in (QUESTION, "How many days of vacation do employees have?"):
        ask(client, thread_id, text)
    path = f"/v1/threads/{thread_id}/messages"
    whole = client.get(path).json()
    assert [m["seq"] for m in whole["messages"]] == [1, 2, 3, 4]
    assert [m["role"] for m in whole["messages"]] == ["user", "assistant"] * 2
    assert whole["next"] is None
    first = client.get(path, params={"limit": 3}).json()
    assert first["next"] == 3
    rest = client.get(path, params={"after": first["next"]}).json()
    assert first["messages"] + rest["messages"] == whole["messages"]
    assert client.get(f"/v1/threads/{thread_id}").json()["messages"] == 4


def test_a_run_can_be_followed_later(client: httpx.Client) -> None:
    """Without `stream` the run is returned at once; its events are at `Location`."""
    thread_id = new_thread(client)
    started = client.post(f"/v1/threads/{thread_id}/runs", json={"input": QUESTION})
    assert started.status_code == 202
    run = started.json()
    assert started.headers["content-location"].endswith(run["run_id"])
    with client.stream("GET", started.headers["location"]) as response:
        events = list(sse_events(response.iter_lines()))
    assert events[0].type == "run.started"
    assert events[-1].type == "run.finished"
    path = f"/v1/threads/{thread_id}/runs"
    assert client.get(f"{path}/{run['run_id']}").json()["status"] == "succeeded"
    assert [r["run_id"] for r in client.get(path).json()["runs"]] == [run["run_id"]]


def test_a_stream_is_what_a_client_needs(client: httpx.Client) -> None:
    """Type, addresses, numbered events; the tokens are the message."""
    thread_id = new_thread(client)
    body = {"input": QUESTION, "stream": True}
    with client.stream("POST", f"/v1/threads/{thread_id}/runs", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["location"].endswith("/events")
        assert response.headers["x-request-id"]
        lines = list(response.iter_lines())
    assert lines[0].startswith("retry: ")
    events = list(sse_events(iter(lines)))
    ids = [event.id for event in events]
    assert ids == sorted(set(ids))
    text = "".join(event.data["text"] for event in events if event.type == "token")
    message = next(event.data for event in events if event.type == "message.finished")
    assert text.strip() == message["content"]
    sources = next(event.data for event in events if event.type == "sources")
    assert {c["chunk_id"] for c in message["citations"]} <= {
        p["chunk_id"] for p in sources["passages"]
    }


def test_reconnecting_loses_and_repeats_nothing(client: httpx.Client) -> None:
    """From every event on, by Last-Event-ID and by `after`, the rest is the same."""
    thread_id = new_thread(client)
    events = stream_run(client, thread_id, QUESTION)
    run_id = events[0].data["run_id"]
    path = f"/v1/threads/{thread_id}/runs/{run_id}/events"
    for index in range(-1, len(events)):
        seen = 0 if index < 0 else events[index].id
        by_header: dict[str, Any] = {"headers": {"Last-Event-ID": str(seen)}}
        for how in (by_header, {"params": {"after": seen}}):
            with client.stream("GET", path, **how) as response:
                assert list(sse_events(response.iter_lines())) == events[index + 1 :]


def test_a_client_may_leave(client: httpx.Client) -> None:
    """The run goes on without it and can be followed again."""
    thread_id = new_thread(client)
    body = {"input": QUESTION, "stream": True}
    with client.stream("POST", f"/v1/threads/{thread_id}/runs", json=body) as response:
        location = response.headers["location"]
    with client.stream("GET", location) as response:
        events = list(sse_events(response.iter_lines()))
    assert events[0].id == 1
    assert events[-1].type == "run.finished"


def test_the_turn_log_knows_what_happened(client: httpx.Client) -> None:
    """Prompt, passages with scores, model and times of the stages."""
    thread_id = new_thread(client)
    run_id = ask(client, thread_id, QUESTION)["run"]["run_id"]
    turn = client.get(f"/v1/threads/{thread_id}/runs/{run_id}/turn").json()
    assert turn["outcome"] == "answered"
    assert turn["prompt"][0]["role"] == "system"
    assert turn["passages"][0]["scores"]
    assert turn["model"]["name"]
    assert {"screen", "retrieve", "generate"} <= turn["stages"].keys()


def test_an_ended_run_cannot_be_cancelled(client: httpx.Client) -> None:
    """409, and the run stays as it was."""
    thread_id = new_thread(client)
    run_id = ask(client, thread_id, QUESTION)["run"]["run_id"]
    answer = client.post(f"/v1/threads/{thread_id}/runs/{run_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "run_ended"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": ""}, 422, "empty_input"),
        ({"input": " \n\t"}, 422, "empty_input"),
        ({"input": "x" * 32_001}, 422, "input_too_long"),
        ({"input": "a\x00b"}, 422, "invalid_input"),
        ({"input": 5}, 422, "invalid_input"),
        ({"input": None}, 422, "invalid_input"),
        ({"input": ["a"]}, 422, "invalid_input"),
        ({"input": "a", "stream": "yes"}, 422, "invalid_input"),
        ({"input": "a", "streem": True}, 400, "unsupported_parameter"),
        ({}, 422, "invalid_input"),
        ([], 422, "invalid_input"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_refused(client: httpx.Client, body: Any, status: int, code: str) -> None:
    """Each in our shape, with the request id; nothing is stored."""
    thread_id = new_thread(client)
    answer = client.post(f"/v1/threads/{thread_id}/runs", json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert client.get(f"/v1/threads/{thread_id}/messages").json()["messages"] == []


@pytest.mark.parametrize(
    "content",
    [b'{"input": "\\ud800"}', b'{"input": "\xed\xa0\x80"}', b'{"input": ', b"\xff", b"[" * 5000],
    ids=repr,
)
def test_bytes_that_are_no_json_are_refused(client: httpx.Client, content: bytes) -> None:
    """A lone surrogate is no text, and a half body is no body."""
    answer = client.post(
        f"/v1/threads/{new_thread(client)}/runs",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(
    "thread_id", [NOBODY, "x", "..%2f..", "%00", "x" * 2000, NOBODY.replace("-", ""), "%ff"]
)
def test_an_unknown_thread_is_a_404_everywhere(client: httpx.Client, thread_id: str) -> None:
    """Unknown and malformed ids are answered alike."""
    path = f"/v1/threads/{thread_id}"
    answers = [
        client.get(path),
        client.patch(path, json={"title": "x"}),
        client.delete(path),
        client.get(f"{path}/messages"),
        client.get(f"{path}/runs"),
        client.post(f"{path}/runs", json={"input": "Hi"}),
        client.get(f"{path}/runs/{NOBODY}"),
        client.get(f"{path}/runs/{NOBODY}/events"),
        client.get(f"{path}/runs/{NOBODY}/turn"),
        client.post(f"{path}/runs/{NOBODY}/cancel"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    if thread_id == NOBODY:
        assert {answer.json()["error"]["code"] for answer in answers} == {"thread_not_found"}


@pytest.mark.parametrize("run_id", [NOBODY, "x", "%00"])
def test_an_unknown_run_is_a_404_everywhere(client: httpx.Client, run_id: str) -> None:
    """In a thread that exists."""
    path = f"/v1/threads/{new_thread(client)}/runs/{run_id}"
    answers = [
        client.get(path),
        client.get(f"{path}/events"),
        client.get(f"{path}/turn"),
        client.post(f"{path}/cancel"),
    ]
    assert {answer.json()["error"]["code"] for answer in answers} == {"run_not_found"}


def test_a_run_belongs_to_its_thread(client: httpx.Client) -> None:
    """Through another thread it is a 404, also its turn log."""
    run_id = ask(client, new_thread(client), QUESTION)["run"]["run_id"]
    path = f"/v1/threads/{new_thread(client)}/runs/{run_id}"
    for route in ("", "/events", "/turn"):
        assert client.get(path + route).status_code == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/threads", {"limit": "0"}),
        ("/v1/threads", {"limit": "201"}),
        ("/v1/threads", {"limit": "x"}),
        ("/v1/threads", {"cursor": "bm9uZSBvZiBvdXJz"}),
        ("/v1/threads", {"cursor": "ä"}),
    ],
)
def test_bad_queries_are_refused(client: httpx.Client, path: str, query: dict[str, str]) -> None:
    """A number out of range or a cursor of somebody else's is a 422."""
    assert client.get(path, params=query).status_code == 422


@pytest.mark.parametrize("seen", ["x", "-2", "9" * 30, "1.5", ""])
def test_a_strange_last_event_id_is_refused(client: httpx.Client, seen: str) -> None:
    """It is none of ours, so going on from it would be guessing."""
    thread_id = new_thread(client)
    run_id = ask(client, thread_id, QUESTION)["run"]["run_id"]
    path = f"/v1/threads/{thread_id}/runs/{run_id}/events"
    assert client.get(path, headers={"Last-Event-ID": seen}).status_code == 422


def test_unknown_routes_and_methods_are_typed(client: httpx.Client) -> None:
    """404 and 405 have our shape too."""
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert client.put("/v1/threads").json()["error"]["code"] == "method_not_allowed"


async def test_another_users_thread_is_not_found(database: Database, tenant: str) -> None:
    """Whoever asks for it learns that there is none."""
    async with database.transaction(tenant) as conn:
        thread = await threads.create(conn, tenant_id=tenant, user_id="ada")
        assert await owned(conn, Caller(tenant, "ada"), thread.thread_id) == thread
        with pytest.raises(ThreadNotFound):
            await owned(conn, Caller(tenant, "eve"), thread.thread_id)
