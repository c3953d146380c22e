"""TGI's recorded answers: our client reads them all, our server sends the same shapes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from text_generation import AsyncClient  # type: ignore[import-untyped]

from core.settings import ModelSettings
from tests.tgi.bodies import CHAT, FORMAT, TOOL
from tests.tgi.recorded import Player, Recording, load
from tests.tgi.scripted import serving
from tests.tgi.spec import events
from tgi.chat_model import connect

pytestmark = [
    pytest.mark.data,
    # text-generation 0.7 is from March 2024.
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20"),
]

SETTINGS = ModelSettings(_env_file=None)
ONCE = CHAT | {"max_tokens": 5}
USAGE = {"stream_options": {"include_usage": True}}
DETAILS = {"details": True}


@pytest.fixture
def recordings(snapshots: Path) -> dict[str, Recording]:
    """Every recording by its file name."""
    return {recording.file: recording for recording in load(snapshots)}


async def test_every_recording_is_known(recordings: dict[str, Recording]) -> None:
    """The recordings are those this file tests, by route."""
    routes = Counter((r.route, r.streamed) for r in recordings.values())
    assert routes == {
        ("/v1/chat/completions", False): 9,
        ("/v1/chat/completions", True): 8,
        ("/v1/completions", False): 1,
        ("/v1/completions", True): 1,
        ("/", False): 17,
    }


async def test_whole_chat_answers(recordings: dict[str, Recording]) -> None:
    """Text, usage, finish reason and calls of each whole chat answer arrive as recorded."""
    player = Player("/v1/chat/completions")
    read = 0
    async with serving(player.app) as url, connect(SETTINGS, url=url) as model:
        for recording in recordings.values():
            if recording.route == "/v1/chat/completions" and not recording.streamed:
                for sent in recording.objects:
                    player.play(sent)
                    _check_whole(await model.ainvoke("?"), sent)
                    read += 1
    assert read == 106


async def test_chat_streams(recordings: dict[str, Recording]) -> None:
    """Text, usage, finish reason and calls of each chat stream arrive as recorded."""
    player = Player("/v1/chat/completions")
    async with serving(player.app) as url, connect(SETTINGS, url=url) as model:
        for recording in recordings.values():
            if recording.route == "/v1/chat/completions" and recording.streamed:
                player.play(recording.objects)
                chunks = [chunk async for chunk in model.astream("?")]
                whole = chunks[0]
                for chunk in chunks[1:]:
                    whole += chunk
                _check_stream(whole, recording.objects)


async def test_generate_answers(recordings: dict[str, Recording]) -> None:
    """The unmodified client reads each recorded answer of /generate."""
    player = Player("/")
    async with serving(player.app) as url:
        for recording in recordings.values():
            for sent in recording.objects if recording.route == "/" else ():
                player.play(sent)
                answer = await AsyncClient(url).generate("?")
                assert answer.generated_text == sent["generated_text"]
                assert answer.details is not None
                assert len(answer.details.tokens) == len(sent["details"]["tokens"])
                assert answer.details.finish_reason == sent["details"]["finish_reason"]


@pytest.mark.parametrize(
    ("file", "path", "body"),
    [
        ("test_continue_final_message/test_llama_completion_single_prompt.json", "chat", ONCE),
        ("test_json_schema_constrain/test_json_schema_basic.json", "chat", CHAT | FORMAT),
        ("test_tools_llama/test_flash_llama_grammar_tools_nostream.json", "chat", CHAT | TOOL),
        (
            "test_completion_prompts/test_flash_llama_completion_single_prompt.json",
            "completions",
            {"prompt": "And", "max_tokens": 3},
        ),
        (
            "test_flash_llama/test_flash_llama_simple.json",
            "generate",
            {"inputs": "And", "parameters": DETAILS | {"max_new_tokens": 3}},
        ),
        (
            "test_flash_starcoder2_lora/test_flash_starcoder2_with_hugcode_adapter.json",
            "generate",
            {"inputs": "And", "parameters": DETAILS | {"max_new_tokens": 3}},
        ),
        (
            "test_flash_grammar_llama/test_flash_llama_grammar_json.json",
            "generate",
            {
                "inputs": "And",
                "parameters": DETAILS
                | {"grammar": {"type": "json", "value": {"type": "object", "properties": {}}}},
            },
        ),
        (
            "test_mt0_base/test_mt0_base.json",
            "generate",
            {
                "inputs": "And",
                "parameters": {"decoder_input_details": True, "seed": 0},
            },
        ),
    ],
)
async def test_whole_answers_have_the_same_shape(
    embedded: httpx.AsyncClient,
    recordings: dict[str, Recording],
    file: str,
    path: str,
    body: dict[str, Any],
) -> None:
    """The embedded server's whole answers have the keys and types of TGI's, group by group."""
    response = await embedded.post(_route(path), json=body)
    assert _shape([response.json()]) == _shape(recordings[file].objects)


@pytest.mark.parametrize(
    ("file", "path", "body"),
    [
        (
            "test_completion_prompts/test_chat_openai_nousage.json",
            "chat",
            CHAT,
        ),
        ("test_completion_prompts/test_chat_hfhub_usage.json", "chat", CHAT | USAGE),
        (
            "test_completion_prompts/test_flash_llama_completion_stream_usage.json",
            "chat",
            ONCE | USAGE,
        ),
        ("test_json_schema_constrain/test_json_schema_stream.json", "chat", CHAT | FORMAT),
        ("test_tools_llama/test_flash_llama_grammar_tools_choice_stream.json", "chat", CHAT | TOOL),
        (
            "test_tools_llama/test_flash_llama_grammar_tools_sea_creatures_stream_none.json",
            "chat",
            ONCE | TOOL | {"tool_choice": "none"},
        ),
        (
            "test_completion_prompts/test_flash_llama_completion_many_prompts_stream.json",
            "completions",
            {"prompt": ["a", "b", "c", "d"], "max_tokens": 3},
        ),
    ],
)
async def test_streams_have_the_same_shape(
    embedded: httpx.AsyncClient,
    recordings: dict[str, Recording],
    file: str,
    path: str,
    body: dict[str, Any],
) -> None:
    """The embedded server's events have the keys and types of TGI's, group by group."""
    response = await embedded.post(_route(path), json=body | {"stream": True})
    *sent, done = events(response.text)
    assert done == "[DONE]"
    assert _shape(sent) == _shape(recordings[file].objects)


def _route(path: str) -> str:
    return {"chat": "/v1/chat/completions", "completions": "/v1/completions"}.get(path, f"/{path}")


def _shape(value: Any, at: str = "") -> set[tuple[str, str]]:
    """Return every path in a JSON value with the type of what is there."""
    if isinstance(value, dict):
        return {(at, "object")}.union(*(_shape(v, f"{at}.{k}") for k, v in value.items()))
    if isinstance(value, list):
        return {(at, "list")}.union(*(_shape(v, f"{at}[]") for v in value))
    return {(at, type(value).__name__)}


def _check_whole(answer: AIMessage, sent: dict[str, Any]) -> None:
    choice = sent["choices"][0]
    message = choice["message"]
    calls = message.get("tool_calls", [])
    assert answer.content == message.get("content", "")
    assert [(call["name"], call["args"]) for call in answer.tool_calls] == [
        (call["function"]["name"], orjson.loads(call["function"]["arguments"])) for call in calls
    ]
    assert all(str(call["id"]).startswith("call_") for call in answer.tool_calls)
    reason = "tool_calls" if calls else choice["finish_reason"]
    _check_end(answer, reason, sent["usage"], sent)


def _check_stream(answer: AIMessageChunk, sent: list[dict[str, Any]]) -> None:
    choices = [item["choices"][0] for item in sent if item["choices"]]
    parts = [
        choice["delta"]["tool_calls"][0] for choice in choices if "tool_calls" in choice["delta"]
    ]
    assert answer.content == "".join(choice["delta"].get("content", "") for choice in choices)
    if parts:
        arguments = orjson.loads("".join(part["function"]["arguments"] for part in parts))
        (call,) = answer.tool_calls
        assert (call["name"], call["args"]) == (parts[0]["function"]["name"], arguments)
        assert str(call["id"]).startswith("call_")
    reason = "tool_calls" if parts else choices[-1]["finish_reason"]
    _check_end(answer, reason, sent[-1].get("usage"), sent[0])


def _check_end(
    answer: AIMessage, reason: str, usage: dict[str, int] | None, sent: dict[str, Any]
) -> None:
    assert answer.response_metadata == {
        "finish_reason": reason,
        "model_name": sent["model"],
        "system_fingerprint": sent["system_fingerprint"],
    }
    if usage is None:
        assert answer.usage_metadata is None
    else:
        assert answer.usage_metadata == {
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"],
            "total_tokens": usage["total_tokens"],
        }
