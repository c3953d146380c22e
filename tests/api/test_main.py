"""The process: how it starts, how it refuses to, how it ends."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.listen import listen
from tests.api.served import Served, launch, new_thread, serving, slow_model, sse_events

QUESTION = "Who built the lighthouse of Wendelmoor?"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"API_HOST": "0.0.0.0"}, "Parley has no accounts yet"),
        ({"API_PORT": "many"}, "API_PORT: Input should be a valid integer"),
        ({"LANGFUSE_PUBLIC_KEY": "pk"}, "belong together"),
        ({"API_KEYS_FILE": "none.yaml"}, "API_KEYS_FILE: none.yaml cannot be read"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    """Exit status 1, a sentence on standard error, no stack trace."""
    process = launch(["serve"], tmp_path, settings)
    process.communicate()
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert process.returncode == 1
    assert sentence in said
    assert "Traceback" not in said


def test_a_port_in_use_is_found_before_anything_starts(tmp_path: Path) -> None:
    """No data folder is made for a server that cannot serve."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        process = launch(["serve"], tmp_path, {"API_PORT": port})
        process.communicate()
    assert process.returncode == 1
    assert (tmp_path / "log").read_text().splitlines() == [
        f"Port {port} is in use; set API_PORT to a free one."
    ]
    assert not (tmp_path / "postgres").exists()


def test_a_database_that_does_not_answer_is_said_in_a_sentence(tmp_path: Path) -> None:
    """What had started meanwhile is ended again."""
    url = "postgresql://parley_app:secret@127.0.0.1:1/parley"
    process = launch(["serve"], tmp_path, {"DATABASE_URL": url})
    process.communicate()
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert process.returncode == 1
    assert "The database does not answer" in said
    assert "Traceback" not in said
    assert "secret" not in said


def test_a_signal_while_starting_ends_it(tmp_path: Path) -> None:
    """Nothing is left behind, and no stack trace is shown."""
    process = launch(["serve"], tmp_path, {})
    while not (tmp_path / "postgres").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in (tmp_path / "log").read_text(encoding="utf-8")


def test_it_says_how_to_go_on(live: Served) -> None:
    """Time to ready, address, documents, and a command to try."""
    assert re.search(r"^3 documents \(3 new,", live.said, re.MULTILINE)
    assert re.search(r"^ready in [\d.]+ s at http://127\.0\.0\.1:\d+$", live.said, re.MULTILINE)


def test_logs_are_json_without_what_users_wrote(live: Served, client: httpx.Client) -> None:
    """Each line is an object; a request that was refused is one of them."""
    thread_id = new_thread(client)
    path = f"/v1/threads/{thread_id}/runs"
    client.post(path, json={"input": "my secret \x00"}, headers={"x-request-id": "look-for-me"})
    client.post(path, params={"wait": True}, json={"input": "my secret question"})
    lines = [json.loads(line) for line in live.log.splitlines()]
    assert [line["status"] for line in lines if line.get("request_id") == "look-for-me"] == [422]
    assert "secret" not in live.log


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, knowledge: Path) -> Iterator[Served]:
    """A server whose model takes its time, with short leases."""
    folder = tmp_path_factory.mktemp("slow")
    with slow_model(folder, tokens_per_second=6) as model_url:
        settings = {
            "MODEL_URL": model_url,
            "RUN_LEASE_SECONDS": "2",
            "RUN_HEARTBEAT_SECONDS": "0.5",
        }
        with serving(Served(folder, docs=[knowledge], settings=settings)) as served:
            yield served


@pytest.fixture
def patient(slow: Served) -> Iterator[httpx.Client]:
    """A client of the slow server."""
    with httpx.Client(base_url=slow.url, timeout=60) as opened:
        yield opened


def begin(client: httpx.Client, thread_id: str) -> str:
    """Start a run, wait until its model is writing, and return the run's path."""
    body = {"input": QUESTION, "stream": True}
    with client.stream("POST", f"/v1/threads/{thread_id}/runs", json=body) as response:
        for event in sse_events(response.iter_lines()):
            if event.type == "node.started" and event.data["node"] == "generate":
                return str(response.headers["content-location"])
    raise AssertionError("the run ended before its model was asked")


def end_of(client: httpx.Client, path: str) -> str:
    """Follow a run to its end and return how it ended."""
    with client.stream("GET", f"{path}/events") as response:
        return list(sse_events(response.iter_lines()))[-1].type


def test_a_second_message_during_a_turn_waits_or_is_refused(patient: httpx.Client) -> None:
    """As it asks for; the first turn is not disturbed."""
    thread_id = new_thread(patient)
    path = begin(patient, thread_id)
    route = f"/v1/threads/{thread_id}/runs"
    second = patient.post(route, json={"input": "And now?", "multitask_strategy": "reject"})
    assert second.status_code == 409
    assert second.json()["error"]["code"] == "run_active"
    third = patient.post(route, json={"input": QUESTION})
    assert third.status_code == 202
    assert (third.json()["status"], third.json()["attempt"]) == ("queued", 0)
    assert end_of(patient, path) == "run.finished"
    assert end_of(patient, third.headers["content-location"]) == "run.finished"


def test_a_second_message_may_end_the_turn(patient: httpx.Client) -> None:
    """Its question stays, or goes as well."""
    for strategy, left in (("interrupt", 3), ("rollback", 2)):
        thread_id = new_thread(patient)
        path = begin(patient, thread_id)
        body = {"input": QUESTION, "multitask_strategy": strategy}
        second = patient.post(f"/v1/threads/{thread_id}/runs", json=body)
        assert second.json()["status"] == "running"
        assert end_of(patient, path) == "run.cancelled"
        assert end_of(patient, second.headers["content-location"]) == "run.finished"
        found = patient.get(f"/v1/threads/{thread_id}/messages").json()["messages"]
        assert len(found) == left


def test_a_run_can_be_cancelled(patient: httpx.Client) -> None:
    """Its events end with `run.cancelled`, and the next turn works."""
    thread_id = new_thread(patient)
    path = begin(patient, thread_id)
    assert patient.post(f"{path}/cancel").status_code == 202
    assert end_of(patient, path) == "run.cancelled"
    assert patient.get(path).json()["status"] == "cancelled"
    assert end_of(patient, begin(patient, thread_id)) == "run.finished"


def test_who_waits_for_a_cancelled_run_is_told(patient: httpx.Client) -> None:
    """In OpenAI's dialect too, as an HTTP status while no word was sent."""
    asked = {"model": "parley", "messages": [{"role": "user", "content": QUESTION}]}
    answers: list[httpx.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(patient.post("/v1/chat/completions", json=asked))
    )
    newest = patient.get("/v1/threads").json()["threads"][:1]
    waiting.start()
    while (found := patient.get("/v1/threads").json()["threads"][:1]) == newest:
        time.sleep(0.02)
    path = f"/v1/threads/{found[0]['thread_id']}/runs"
    run_id = patient.get(path).json()["runs"][0]["run_id"]
    assert patient.post(f"{path}/{run_id}/cancel").status_code == 202
    waiting.join()
    assert answers[0].status_code == 409
    assert answers[0].json()["error"]["code"] == "run_cancelled"


def test_deleting_a_thread_ends_its_turns(patient: httpx.Client) -> None:
    """What runs and what is queued is cancelled first, then everything is gone."""
    thread_id = new_thread(patient)
    path = begin(patient, thread_id)
    patient.post(f"/v1/threads/{thread_id}/runs", json={"input": QUESTION})
    assert patient.delete(f"/v1/threads/{thread_id}").status_code == 204
    assert patient.get(path).status_code == 404


def test_kill_9_during_a_turn_loses_nothing(slow: Served) -> None:
    """After a restart the message is there, the run finishes, and the next turn works."""
    with httpx.Client(base_url=slow.url, timeout=60) as client:
        thread_id = new_thread(client)
        path = begin(client, thread_id)
        slow.kill()
    slow.start()
    with httpx.Client(base_url=slow.url, timeout=60) as client:
        assert end_of(client, path) == "run.finished"
        messages = client.get(f"/v1/threads/{thread_id}/messages").json()["messages"]
        assert [m["role"] for m in messages] == ["user", "assistant"]
        assert "Ada Kestrel" in messages[1]["content"]
        assert client.get(path).json()["attempt"] == 2
        assert end_of(client, begin(client, thread_id)) == "run.finished"


def test_sigterm_lets_a_turn_finish(slow: Served) -> None:
    """The client that follows it gets the whole answer; the process ends with status 0."""
    with httpx.Client(base_url=slow.url, timeout=60) as client:
        thread_id = new_thread(client)
        body = {"input": QUESTION, "stream": True}
        with client.stream("POST", f"/v1/threads/{thread_id}/runs", json=body) as response:
            lines = response.iter_lines()
            for event in sse_events(lines):
                if event.type == "node.started" and event.data["node"] == "generate":
                    break
            assert slow.process is not None
            slow.process.send_signal(signal.SIGTERM)
            types = [event.type for event in sse_events(lines)]
    assert types[-1] == "run.finished"
    assert slow.ended() == 0
    slow.start()
    with httpx.Client(base_url=slow.url, timeout=60) as client:
        messages = client.get(f"/v1/threads/{thread_id}/messages").json()["messages"]
        assert len(messages) == 2


def test_a_turn_that_does_not_end_in_time_is_handed_on(slow: Served) -> None:
    """Clients are told to come back, and the next process finishes the run."""
    slow.stop()
    settings = {**slow.settings, "API_DRAIN_SECONDS": "0"}
    with (
        serving(Served(slow.folder, settings=settings)) as hasty,
        httpx.Client(base_url=hasty.url, timeout=60) as client,
    ):
        thread_id = new_thread(client)
        body = {"input": QUESTION, "stream": True}
        with client.stream("POST", f"/v1/threads/{thread_id}/runs", json=body) as response:
            path = response.headers["content-location"]
            lines = response.iter_lines()
            events = sse_events(lines)
            while next(events).type != "sources":
                pass
            assert hasty.process is not None
            hasty.process.send_signal(signal.SIGTERM)
            rest = list(events)
        assert rest[-1].type == "reconnect"
        assert hasty.ended() == 0
    slow.start()
    with httpx.Client(base_url=slow.url, timeout=60) as client:
        seen = {"Last-Event-ID": str(max(event.id for event in rest))}
        with client.stream("GET", f"{path}/events", headers=seen) as response:
            types = [event.type for event in sse_events(response.iter_lines())]
    assert "run.resumed" in types
    assert types[-1] == "run.finished"


def test_the_second_start_reads_no_document_again(slow: Served) -> None:
    """Unchanged documents are recognised."""
    assert slow.stop() == 0
    slow.start()
    assert re.search(r"^3 documents \(0 new, 0 changed, 3 unchanged", slow.said, re.MULTILINE)
