"""Whatever is sent, the answer is never a server error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.api.served import Served, new_thread

JSON = {"content-type": "application/json"}
# Half of them are what a careless or hostile client sends, half is anything JSON can say.
STRANGE = st.sampled_from(
    ["", " ", "\x00", "\ud800", "a\u202eb", "’" * 40_000, "../..", "%00", "NaN", "'; drop table"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | STRANGE
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FUZZ = settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # each example is a request: no shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,  # the same requests every time
)


def fields(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return bodies with some of these fields, some of them with the values they should have."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES)) | st.dictionaries(
        st.sampled_from(names) | st.text(max_size=8), VALUES, max_size=4
    )


@pytest.fixture(scope="module")
def shared(live: Served) -> Iterator[tuple[httpx.Client, str]]:
    """One client and one thread for all examples."""
    with httpx.Client(base_url=live.url, timeout=60) as client:
        yield client, new_thread(client)


def send(client: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    """Send whatever JSON can be made of it: NaN and lone surrogates as well."""
    content = json.dumps(body).encode()
    return client.request(method, path, content=content, headers=JSON)


def is_typed(answer: httpx.Response) -> None:
    """Assert that a refusal is in one of our shapes."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error["code"]
        assert error["message"]


@FUZZ
@given(body=fields("title", "metadata") | VALUES)
def test_threads(shared: tuple[httpx.Client, str], body: Any) -> None:
    """Making and changing a thread."""
    client, thread_id = shared
    is_typed(send(client, "POST", "/v1/threads", body))
    is_typed(send(client, "PATCH", f"/v1/threads/{thread_id}", body))


@FUZZ
@given(body=fields("input", "stream", "multitask_strategy", "webhook") | VALUES)
def test_runs(shared: tuple[httpx.Client, str], body: Any) -> None:
    """Starting a run; when that works, the run ends."""
    client, thread_id = shared
    is_typed(send(client, "POST", f"/v1/threads/{thread_id}/runs", body))


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]) | VALUES},
        optional={"content": VALUES | st.just("Hi"), "tool_calls": VALUES, "name": VALUES},
    ),
    max_size=3,
)
SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "seed", "n", "tools", "stream_options")


@FUZZ
@given(
    body=fields("model", "messages", "stream", "thread_id", *SAMPLING)
    | st.fixed_dictionaries(
        {"model": st.just("parley"), "messages": MESSAGES | VALUES},
        optional=dict.fromkeys(("stream", "thread_id", *SAMPLING), VALUES),
    )
    | VALUES
)
def test_completions(shared: tuple[httpx.Client, str], body: Any) -> None:
    """Asking for a completion."""
    is_typed(send(shared[0], "POST", "/v1/chat/completions", body))


@FUZZ
@given(content=st.binary(max_size=200))
def test_bytes(shared: tuple[httpx.Client, str], content: bytes) -> None:
    """A body that is no JSON at all."""
    client, thread_id = shared
    for path in ("/v1/threads", f"/v1/threads/{thread_id}/runs", "/v1/chat/completions"):
        is_typed(client.post(path, content=content, headers=JSON))


@FUZZ
@given(
    path=st.text(alphabet=st.characters(codec="utf-8"), max_size=40),
    query=st.dictionaries(
        st.sampled_from(["limit", "after", "cursor", "wait"]), st.text(), max_size=3
    ),
)
def test_row_23_paths_and_queries(
    shared: tuple[httpx.Client, str], path: str, query: dict[str, str]
) -> None:
    """Ids and queries of all kinds."""
    client, thread_id = shared
    quoted = "".join(f"%{byte:02x}" for byte in path.encode())
    for route in (
        f"/v1/threads/{quoted}",
        f"/v1/threads/{quoted}/messages",
        f"/v1/threads/{thread_id}/runs/{quoted}/events",
        f"/v1/models/{quoted}",
        f"/{quoted}",
    ):
        is_typed(client.get(route))
    for route in ("/v1/threads", f"/v1/threads/{thread_id}/messages"):
        is_typed(client.get(route, params=query))
