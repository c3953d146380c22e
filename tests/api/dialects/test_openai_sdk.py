"""The unmodified OpenAI SDK, over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.api.served import Served

QUESTION = "Who built the lighthouse of Wendelmoor?"


@pytest.fixture
def sdk(live: Served) -> Iterator[openai.OpenAI]:
    """A client as its documentation shows it."""
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as opened:
        yield opened


def test_the_model_is_listed_with_what_is_behind_it(sdk: openai.OpenAI) -> None:
    """One id, and the name and version of what really answers."""
    (model,) = sdk.models.list().data
    assert (model.id, model.owned_by) == ("parley", "parley")
    assert (model.model_extra or {})["version"]
    assert sdk.models.retrieve("parley").id == "parley"


def test_a_whole_answer(sdk: openai.OpenAI) -> None:
    """Text with markers, usage, the real model, a request id, and our extra field."""
    answer = sdk.chat.completions.create(
        model="parley", messages=[{"role": "user", "content": QUESTION}]
    )
    message = answer.choices[0].message
    assert "Ada Kestrel" in (message.content or "")
    assert "[1]" in (message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens > 0
    assert answer.model == "parley-extractive"
    assert answer.system_fingerprint
    assert answer._request_id
    extra = (message.model_extra or {})["parley"]
    assert extra["citations"][0]["uri"].endswith("lighthouse.md")
    assert extra["sources"]
    assert extra["abstained"] is False
    assert extra["model"]["name"] == "parley-extractive"


def test_a_streamed_answer_is_the_whole_answer(sdk: openai.OpenAI) -> None:
    """The pieces add up to the same text; usage comes when asked for."""
    asked: Any = {"model": "parley", "messages": [{"role": "user", "content": QUESTION}]}
    whole = sdk.chat.completions.create(**asked)
    stream = sdk.chat.completions.create(
        **asked, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    told, counted = chunks[-1].usage, whole.usage
    assert told is not None
    assert counted is not None
    assert told.completion_tokens == counted.completion_tokens
    # The mark of a prompt's fences is drawn anew for each, and may be a token longer.
    assert abs(told.prompt_tokens - counted.prompt_tokens) < 30
    assert chunks[-2].choices[0].finish_reason == "stop"
    extra = (chunks[-2].choices[0].delta.model_extra or {})["parley"]
    assert extra["citations"][0]["uri"].endswith("lighthouse.md")


def test_the_sdks_own_accumulation_keeps_our_field(sdk: openai.OpenAI) -> None:
    """`chat.completions.stream` puts the pieces together, the extra field with them."""
    with sdk.chat.completions.stream(
        model="parley", messages=[{"role": "user", "content": QUESTION}]
    ) as stream:
        stream.until_done()
        message = stream.get_final_completion().choices[0].message
    assert "Ada Kestrel" in (message.content or "")
    assert (message.model_extra or {})["parley"]["run_id"]


def test_history_and_instructions_come_along(sdk: openai.OpenAI, client: httpx.Client) -> None:
    """What the caller sends is what the model is shown."""
    answer = sdk.chat.completions.create(
        model="parley",
        messages=[
            {"role": "system", "content": "Answer like a keeper of lighthouses."},
            {"role": "user", "content": "How far is the lamp of the lighthouse visible?"},
            {"role": "assistant", "content": "Nineteen nautical miles [1]."},
            {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
        ],
    )
    extra = (answer.choices[0].message.model_extra or {})["parley"]
    turn = client.get(f"/v1/threads/{extra['thread_id']}/runs/{extra['run_id']}/turn").json()
    said = " ".join(message.get("content", "") for message in turn["prompt"])
    assert "Answer like a keeper of lighthouses." in said
    assert "Nineteen nautical miles [1]." in said


def test_a_thread_can_be_continued(sdk: openai.OpenAI, client: httpx.Client) -> None:
    """`thread_id` adds to a stored conversation."""
    first = sdk.chat.completions.create(
        model="parley", messages=[{"role": "user", "content": QUESTION}]
    )
    thread_id = (first.choices[0].message.model_extra or {})["parley"]["thread_id"]
    again = sdk.chat.completions.create(
        model="parley",
        messages=[{"role": "user", "content": "How many steps does the keeper climb?"}],
        extra_body={"thread_id": thread_id},
    )
    assert (again.choices[0].message.model_extra or {})["parley"]["thread_id"] == thread_id
    messages = client.get(f"/v1/threads/{thread_id}/messages").json()["messages"]
    assert len(messages) == 4


def test_sampling_parameters_are_accepted(sdk: openai.OpenAI) -> None:
    """Those that mean something to the model go through to it."""
    answer = sdk.chat.completions.create(
        model="parley",
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0.2,
        top_p=0.9,
        max_completion_tokens=100,
        stop=["\n\n"],
        seed=7,
        user="u",
        metadata={"a": "b"},
        n=1,
        tools=[],
    )
    assert answer.choices[0].message.content


def test_an_unknown_model_is_openais_404(sdk: openai.OpenAI) -> None:
    """With OpenAI's code, so that clients understand it."""
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hi"}])
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("gpt-9")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, None),
        ({"messages": [{"role": "user", "content": ""}]}, None),
        ({"messages": [{"role": "user", "content": "x" * 32_001}]}, None),
        ({"messages": [{"role": "user", "content": "\x00"}]}, None),
        ({"messages": [{"role": "king", "content": "Hi"}]}, "messages[0].role"),
        ({"extra_body": {"thinking": True}}, "thinking"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_we_cannot_do_is_openais_400(
    sdk: openai.OpenAI, fields: dict[str, Any], param: str | None
) -> None:
    """It names the parameter where there is one."""
    asked: dict[str, Any] = {"model": "parley", "messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(**(asked | fields))
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("thread_id", ["x", "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10"])
def test_an_unknown_thread_is_a_404(sdk: openai.OpenAI, thread_id: str) -> None:
    """Nothing is begun in its place."""
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(
            model="parley",
            messages=[{"role": "user", "content": "Hi"}],
            extra_body={"thread_id": thread_id},
        )
    assert caught.value.code == "thread_not_found"
