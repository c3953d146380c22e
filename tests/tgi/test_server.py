"""The embedded server's behaviour beyond its shapes, over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from core.errors import EmbeddingUnavailable
from tests.tgi.bodies import CHAT, FORMAT, SCHEMA, TOOL, WEATHER
from tests.tgi.scripted import ScriptedModel, serving
from tests.tgi.spec import events
from tgi.embedded.bounds import Limits
from tgi.embedded.faults import Timing
from tgi.embedded.model import Reply, ToolCall
from tgi.embedded.server import create_app

SAID = "Warsaw became the capital\nin 1596 [1]. Żółw! "
ROUTE = "/v1/chat/completions"
USAGE = {"stream_options": {"include_usage": True}}


async def _stream(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    return events((await client.post(ROUTE, json=body | {"stream": True})).text)


async def test_text_reassembles(embedded: httpx.AsyncClient) -> None:
    """The deltas of a stream, joined, are the answer; the last one has the finish reason."""
    *frames, done = await _stream(embedded, CHAT)
    choices = [frame["choices"][0] for frame in frames]
    assert done == "[DONE]"
    assert "".join(choice["delta"]["content"] for choice in choices) == SAID
    assert len(frames) == 13  # twelve tokens and the end token
    assert [choice["finish_reason"] for choice in choices] == [None] * 12 + ["stop"]
    assert all(frame["usage"] is None for frame in frames)


async def test_usage_comes_last_and_only_when_asked(embedded: httpx.AsyncClient) -> None:
    """With include_usage one more chunk without choices has the same usage as a whole answer."""
    *_, usage, _ = await _stream(embedded, CHAT | USAGE)
    whole = (await embedded.post(ROUTE, json=CHAT)).json()
    assert usage["choices"] == []
    assert usage["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] == 13


async def test_usage_counts_the_template(embedded: httpx.AsyncClient) -> None:
    """Prompt tokens are those of /chat_tokenize."""
    whole = (await embedded.post(ROUTE, json=CHAT | TOOL)).json()
    shown = (await embedded.post("/chat_tokenize", json=CHAT | TOOL)).json()
    assert whole["usage"]["prompt_tokens"] == len(shown["tokenize_response"])


async def test_max_tokens_is_length(embedded: httpx.AsyncClient) -> None:
    """An answer that reaches max_tokens, or its newer name, ends with `length`."""
    for name in ("max_tokens", "max_completion_tokens"):
        whole = (await embedded.post(ROUTE, json=CHAT | {name: 3})).json()
        choice = whole["choices"][0]
        assert choice["message"]["content"] == "Warsaw became the"
        assert choice["finish_reason"] == "length"
        assert whole["usage"]["completion_tokens"] == 3


async def test_call_frames(embedded: httpx.AsyncClient) -> None:
    """Only a call's first frame has the name; its arguments join to JSON; it has no reason."""
    *frames, _ = await _stream(embedded, CHAT | TOOL)
    calls = [frame["choices"][0]["delta"]["tool_calls"][0] for frame in frames]
    names = [call["function"]["name"] for call in calls]
    assert names == ["weather"] + [None] * (len(calls) - 1)
    assert calls[0]["function"]["arguments"] == "{"
    joined = "".join(call["function"]["arguments"] for call in calls)
    assert orjson.loads(joined) == {"city": "Warsaw", "days": 3}
    assert all(frame["choices"][0]["finish_reason"] is None for frame in frames)
    assert all("content" not in frame["choices"][0]["delta"] for frame in frames)


async def test_a_call_without_arguments_is_one_brace() -> None:
    """A call without arguments streams only "{", as TGI's does."""
    model = ScriptedModel(lambda **_: Reply(tool_calls=(ToolCall("weather", {}),)))
    async with serving(create_app(model)) as url, httpx.AsyncClient(base_url=url) as client:
        frame, _ = await _stream(client, CHAT | TOOL)
    call = frame["choices"][0]["delta"]["tool_calls"][0]
    assert call["function"] == {"name": "weather", "arguments": "{"}


async def test_a_call_that_is_cut_off_is_an_error(embedded: httpx.AsyncClient) -> None:
    """Not streamed, half a call is a tool error."""
    response = await embedded.post(ROUTE, json=CHAT | TOOL | {"max_tokens": 3})
    assert response.status_code == 422
    assert response.json()["error_type"] == "tool_error"


async def test_the_model_gets_what_survives(
    embedded: httpx.AsyncClient, model: ScriptedModel
) -> None:
    """Content drops the calls beside it, images are refused, tools keep properties only."""
    call = {"id": "1", "function": {"name": "weather", "arguments": '{"city":"Warsaw"}'}}
    schema = SCHEMA | {"$defs": {"x": {}}, "additionalProperties": False}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
    ]
    await embedded.post(ROUTE, json={"messages": messages, "tools": [tool]})
    asked = model.asked[-1]
    assert [m.get("content") for m in asked["messages"]] == ["ab", "", None, "rain"]
    assert asked["messages"][2]["tool_calls"][0]["function"]["name"] == "weather"
    kept = asked["tools"][0]["function"]["parameters"]
    assert kept == {
        "type": "object",
        "properties": SCHEMA["properties"],
        "required": SCHEMA["required"],
    }


@pytest.mark.parametrize(
    ("choice", "seen"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("required", "required"),
        ("weather", "weather"),
        ({"type": "function", "function": {"name": "weather"}}, "weather"),
        ("none", "none"),
    ],
)
async def test_tool_choice(
    embedded: httpx.AsyncClient, model: ScriptedModel, choice: Any, seen: str
) -> None:
    """Every form of tool_choice arrives as a word; `none` takes the tools away."""
    await embedded.post(ROUTE, json=CHAT | {"tools": [WEATHER], "tool_choice": choice})
    assert model.asked[-1]["choice"] == seen
    assert (model.asked[-1]["tools"] is None) == (seen == "none")


@pytest.mark.parametrize(
    "grammar",
    [
        {"type": "json", "value": SCHEMA},
        {"type": "json_object", "value": SCHEMA},
        {"type": "json", "value": orjson.dumps(SCHEMA).decode()},
        FORMAT["response_format"],
    ],
)
async def test_response_formats(embedded: httpx.AsyncClient, grammar: dict[str, Any]) -> None:
    """Every form of a JSON schema leads to an answer that fits it."""
    response = await embedded.post(ROUTE, json=CHAT | {"response_format": grammar})
    content = response.json()["choices"][0]["message"]["content"]
    assert orjson.loads(content) == {"city": "Warsaw", "since": 1596}


async def test_regex_reaches_the_model(embedded: httpx.AsyncClient, model: ScriptedModel) -> None:
    """A regex is handed to the model, in a chat as in /generate."""
    grammar = {"type": "regex", "value": "[0-9]+"}
    await embedded.post(ROUTE, json=CHAT | {"response_format": grammar})
    assert model.asked[-1]["grammar"] == grammar
    await embedded.post("/generate", json={"inputs": "a", "parameters": {"grammar": grammar}})
    assert model.asked[-1]["grammar"] == grammar


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "MessageBody"),
        (CHAT | {"seed": -1}, "seed"),
        (CHAT | {"logit_bias": {"1": 2}}, "logit_bias"),
        (CHAT | {"stream": None}, "stream"),
        (CHAT | {"stream_options": None}, "stream_options"),
        (CHAT | {"max_tokens": 1, "max_completion_tokens": 1}, "duplicate field"),
        (CHAT | {"max_tokens": "1"}, "max_tokens"),
        (CHAT | {"temperature": "warm"}, "temperature"),
        (
            CHAT | {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            "response_format",
        ),
        (CHAT | {"tools": [{"type": "function", "function": {"name": "weather"}}]}, "tools"),
    ],
)
async def test_wrong_types_are_plain_text(
    embedded: httpx.AsyncClient, body: dict[str, Any], says: str
) -> None:
    """A body of the wrong types is refused with 422 and plain text that names the place."""
    response = await embedded.post(ROUTE, json=body)
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/plain")
    assert says in response.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"content-type": "application/json"}, 400),
        (b"{}", {}, 415),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b" " * 2_000_001, {"content-type": "application/json"}, 413),
    ],
)
async def test_unreadable_bodies(
    embedded: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    """Bad JSON, a missing content type and too many bytes are plain text of their own status."""
    response = await embedded.post(ROUTE, content=content, headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"top_p": 0.0}, "`top_p` must be > 0.0 and < 1.0"),
        ({"typical_p": 1.0}, "`typical_p` must be > 0.0 and < 1.0"),
        ({"temperature": 0.0}, "`temperature` must be strictly positive"),
        ({"top_k": 0}, "`top_k` must be strictly positive"),
        ({"repetition_penalty": 0.0}, "`repetition_penalty` must be strictly positive"),
        ({"frequency_penalty": 3.0}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
        ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
        ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
        ({"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        ({"best_of": 3, "do_sample": True}, "`best_of` must be > 0 and <= 2. Given: 3"),
        (
            {"best_of": 2, "do_sample": True, "seed": 1},
            "`seed` must not be set when `best_of` > 1",
        ),
        ({"truncate": 0}, "`truncate` must be strictly positive and less than 32767. Given: 0"),
        ({"max_new_tokens": 40_000}, "`inputs` tokens + `max_new_tokens` must be <= 32768"),
        ({"grammar": {"type": "json", "value": {"type": "object"}}}, "'properties' field"),
        ({"grammar": {"type": "json", "value": "{"}}, "grammar is not valid"),
        ({"grammar": {"type": "json", "value": {"type": 3}}}, "grammar is not valid"),
    ],
)
async def test_bounds(embedded: httpx.AsyncClient, wanted: dict[str, Any], says: str) -> None:
    """A value out of bounds is a validation error in TGI's words."""
    response = await embedded.post("/generate", json={"inputs": "a b", "parameters": wanted})
    assert response.status_code == 422
    body = response.json()
    assert body["error_type"] == "validation"
    assert body["error"].startswith("Input validation error: ")
    assert says in body["error"]


async def test_temperature_zero_is_greedy_in_a_chat(embedded: httpx.AsyncClient) -> None:
    """A chat takes temperature 0, which /generate refuses."""
    assert (await embedded.post(ROUTE, json=CHAT | {"temperature": 0})).status_code == 200


async def test_a_failure_inside_a_chat_stream(embedded: httpx.AsyncClient) -> None:
    """Once a stream was asked for, a failure is an event of a 200, and [DONE] follows."""
    response = await embedded.post(ROUTE, json=CHAT | {"stream": True, "top_p": 1.0})
    assert response.status_code == 200
    failure, done = events(response.text)
    assert failure["error"]["http_status_code"] == 422
    assert "top_p" in failure["error"]["message"]
    assert done == "[DONE]"


@pytest.mark.parametrize("wanted", [{"best_of": 2}, {"decoder_input_details": True}])
async def test_a_failure_inside_a_token_stream(
    embedded: httpx.AsyncClient, wanted: dict[str, Any]
) -> None:
    """What /generate_stream cannot do is an error event, and nothing follows."""
    response = await embedded.post("/generate_stream", json={"inputs": "a", "parameters": wanted})
    (failure,) = events(response.text)
    assert failure["error_type"] == "validation"


async def test_wrong_tools_are_refused_before_a_stream(embedded: httpx.AsyncClient) -> None:
    """An unknown tool, `any` among them, and tools with a format are tool errors."""
    for body in (TOOL | {"tool_choice": "any"}, TOOL | FORMAT):
        response = await embedded.post(ROUTE, json=CHAT | body | {"stream": True})
        assert response.status_code == 422
        assert response.json()["error_type"] == "tool_error"


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ValueError("cannot fill a regex"), 422, "validation"),
        (EmbeddingUnavailable(), 424, "generation"),
    ],
)
async def test_what_the_model_cannot_do(error: Exception, status: int, kind: str) -> None:
    """A model's ValueError is the caller's mistake; a failure of ours is a failed generation."""

    def script(**_: Any) -> Reply:
        raise error

    app = create_app(ScriptedModel(script))
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        response = await client.post(ROUTE, json=CHAT)
    assert response.status_code == status
    assert response.json()["error_type"] == kind


async def test_overload_is_told_at_once() -> None:
    """With every slot taken the next request gets 429, or an error event when it streams."""
    model = ScriptedModel()
    model.gate.clear()
    app = create_app(model, limits=Limits(max_concurrent_requests=1))
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        first = asyncio.create_task(client.post(ROUTE, json=CHAT))
        while not model.asked:
            await client.get("/health")
        second = await client.post(ROUTE, json=CHAT)
        streamed = await client.post(ROUTE, json=CHAT | {"stream": True})
        model.gate.set()
        assert (await first).status_code == 200
        third = await client.post(ROUTE, json=CHAT)
        metrics = (await client.get("/metrics")).text
    assert second.status_code == 429
    assert second.json() == {"error": "Model is overloaded", "error_type": "overloaded"}
    assert events(streamed.text)[0]["error"]["message"] == "Model is overloaded"
    assert third.status_code == 200
    assert 'tgi_request_failure{err="overloaded"} 2' in metrics


async def test_a_client_that_leaves_frees_its_slot() -> None:
    """A stream that nobody reads any more gives its slot back."""
    app = create_app(
        ScriptedModel(lambda **_: Reply(text="word " * 1000)),
        limits=Limits(max_concurrent_requests=1),
        timing=Timing(tokens_per_second=100),
    )
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("POST", ROUTE, json=CHAT | {"stream": True}) as response:
            await anext(response.aiter_bytes())
        while "tgi_batch_current_size 1" in (await client.get("/metrics")).text:
            pass
        assert "tgi_batch_current_size 0" in (await client.get("/metrics")).text


async def test_metrics_have_tgi_names(embedded: httpx.AsyncClient) -> None:
    """/metrics counts requests, tokens and failures under the names of TGI's dashboards."""
    await embedded.post(ROUTE, json=CHAT)
    await embedded.post(ROUTE, json=CHAT | {"top_p": 1.0})
    text = (await embedded.get("/metrics")).text
    for line in (
        "tgi_queue_size 0",
        "tgi_batch_current_size 0",
        "tgi_request_count 2",
        "tgi_request_success 1",
        'tgi_request_failure{err="validation"} 1',
        "tgi_request_generated_tokens_sum 13.000000",
        "tgi_request_generated_tokens_count 1",
        'tgi_request_duration_bucket{le="+Inf"} 1',
        "tgi_request_queue_duration_count 1",
        "tgi_request_inference_duration_count 1",
        "tgi_request_mean_time_per_token_duration_count 1",
        "tgi_request_input_length_count 1",
    ):
        assert f"\n{line}\n" in text


async def test_truncate_keeps_the_end(embedded: httpx.AsyncClient, model: ScriptedModel) -> None:
    """`truncate` puts only the prompt's last tokens to the model."""
    body = {"inputs": "one two three", "parameters": {"truncate": 2}}
    await embedded.post("/generate", json=body)
    assert model.asked[-1]["prompt"] == "two three"


async def test_return_full_text(embedded: httpx.AsyncClient) -> None:
    """`return_full_text` puts the prompt before the text, streamed or not."""
    body = {"inputs": "Well,", "parameters": {"return_full_text": True}}
    whole = (await embedded.post("/generate", json=body)).json()
    streamed = events((await embedded.post("/generate_stream", json=body)).text)
    assert whole["generated_text"] == "Well, and so it goes on."
    assert streamed[-1]["generated_text"] == "Well, and so it goes on."


async def test_health(embedded: httpx.AsyncClient) -> None:
    """/health and /ping say yes without a body."""
    for path in ("/health", "/ping"):
        response = await embedded.get(path)
        assert (response.status_code, response.content) == (200, b"")
