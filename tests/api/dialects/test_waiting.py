"""Runs that wait for a person, and requests that come twice, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest

from tests.api.served import Served, new_thread, sse_events

TASK = "Refund 5000 cents of order A-1001, reason: broken"
QUESTION = "Who built the lighthouse of Wendelmoor?"


@pytest.fixture
def sdk(live: Served) -> Iterator[openai.OpenAI]:
    """A client as its documentation shows it."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def post(client: httpx.Client, thread_id: str, body: Any, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"/v1/threads/{thread_id}/runs", json=body, headers=headers)


def test_who_waits_is_told_that_a_person_is_asked(client: httpx.Client) -> None:
    """202, the run and the approvals; the next message is answered; deleting ends it all."""
    thread_id = new_thread(client)
    answer = client.post(
        f"/v1/threads/{thread_id}/runs", params={"wait": True}, json={"input": TASK}
    )
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert run["status"] == "waiting"
    assert len(run["approvals"]) == 1
    path = answer.headers["content-location"]
    assert client.get(path).json() == run
    turn = client.get(f"{path}/turn").json()
    assert turn["outcome"] == "waiting"
    assert turn["actions"][0]["tool"] == "refund_order"
    assert turn["actions"][0]["result"] is None
    assert client.delete(f"/v1/threads/{thread_id}").status_code == 204
    assert client.get(path).status_code == 404


def test_a_stream_stays_open_while_a_person_decides(client: httpx.Client) -> None:
    """It goes on where it was when there is news, here that the run was cancelled."""
    thread_id = new_thread(client)
    body = {"input": TASK, "stream": True}
    with client.stream("POST", f"/v1/threads/{thread_id}/runs", json=body) as response:
        events = sse_events(response.iter_lines())
        seen = []
        for event in events:
            seen.append(event.type)
            if event.type == "run.waiting":
                client.post(f"{response.headers['content-location']}/cancel")
    assert "approval.required" in seen
    assert seen[-2:] == ["run.waiting", "run.cancelled"]


@pytest.mark.parametrize("streamed", [False, True])
def test_the_sdk_is_answered_that_a_person_is_asked(sdk: openai.OpenAI, streamed: bool) -> None:
    """An ordinary end, with a sentence for people and the approvals for programs."""
    asked: Any = {"model": "parley", "messages": [{"role": "user", "content": TASK}]}
    if streamed:
        with sdk.chat.completions.stream(**asked) as stream:
            stream.until_done()
            choice: Any = stream.get_final_completion().choices[0]
    else:
        choice = sdk.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "stop"
    assert "I asked a person to decide about this: refund_order." in choice.message.content
    extra = choice.message.model_extra["parley"]
    assert extra["status"] == "waiting"
    [approval] = extra["approvals"]
    assert approval["tool"] == "refund_order"
    assert approval["arguments"]["order_id"] == "A-1001"


def test_row_9_the_same_key_twice_with_another_body_and_at_once(client: httpx.Client) -> None:
    """One run, given again in each way of asking; another body is a 422; at once is once."""
    thread_id = new_thread(client)
    body = {"input": QUESTION}
    first = post(client, thread_id, body, "key-1")
    assert first.status_code == 202
    again = post(client, thread_id, body, "key-1")
    assert again.status_code == 202
    assert again.json()["run_id"] == first.json()["run_id"]
    assert again.headers["location"] == first.headers["location"]
    waited = client.post(
        f"/v1/threads/{thread_id}/runs",
        params={"wait": True},
        json=body,
        headers={"Idempotency-Key": "key-1"},
    )
    assert waited.status_code == 200
    assert waited.json()["run"]["run_id"] == first.json()["run_id"]
    for other in (
        post(client, thread_id, {"input": "Another?"}, "key-1"),
        post(client, new_thread(client), body, "key-1"),
    ):
        assert other.status_code == 422
        assert other.json()["error"]["code"] == "idempotency_key_reused"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(client, thread_id, body, "key-2"), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    runs = client.get(f"/v1/threads/{thread_id}/runs").json()["runs"]
    assert len(runs) == 2


def test_a_stream_with_a_key_is_replayed_from_its_start(client: httpx.Client) -> None:
    """The same events under the same numbers."""
    thread_id = new_thread(client)
    logs = []
    for _ in range(2):
        with client.stream(
            "POST",
            f"/v1/threads/{thread_id}/runs",
            json={"input": QUESTION, "stream": True},
            headers={"Idempotency-Key": "streamed"},
        ) as response:
            logs.append(list(sse_events(response.iter_lines())))
    assert logs[0] == logs[1]
    assert logs[0][-1].type == "run.finished"


def test_a_completion_with_a_key_is_the_same_completion(sdk: openai.OpenAI) -> None:
    """A client that lost the answer asks again and gets it, in no second thread."""
    asked: Any = {"model": "parley", "messages": [{"role": "user", "content": QUESTION}]}
    headers = {"Idempotency-Key": "completed"}
    first = sdk.chat.completions.create(**asked, extra_headers=headers)
    again = sdk.chat.completions.create(**asked, extra_headers=headers)
    assert again.id == first.id
    assert again.choices == first.choices
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(**asked, seed=1, extra_headers=headers)
    assert caught.value.code == "idempotency_key_reused"


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ä"], ids=repr)
def test_a_strange_key_is_refused(client: httpx.Client, key: str) -> None:
    """One that can be told from others is 1 to 255 visible ASCII characters."""
    answer = client.post(
        f"/v1/threads/{new_thread(client)}/runs",
        json={"input": "Hi"},
        headers={b"Idempotency-Key": key.encode("latin-1")},
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_input"
