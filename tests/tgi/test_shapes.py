"""The embedded server's answers have the shapes of those that TGI's tests recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tgi.bodies import CHAT, FORMAT, TOOL
from tests.tgi.recorded import load
from tests.tgi.spec import events

pytestmark = pytest.mark.data

ONCE = CHAT | {"max_tokens": 5}
USAGE = {"stream_options": {"include_usage": True}}
DETAILS = {"details": True}


@pytest.fixture
def recorded(snapshots: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Return the objects of a recording by its file name."""
    known = {recording.file: recording.objects for recording in load(snapshots)}

    def objects(file: str) -> list[dict[str, Any]]:
        if file not in known:
            pytest.skip(f"no {file} in {snapshots}")
        return known[file]

    return objects


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
    recorded: Callable[[str], list[dict[str, Any]]],
    file: str,
    path: str,
    body: dict[str, Any],
) -> None:
    """The embedded server's whole answers have the keys and types of TGI's, group by group."""
    response = await embedded.post(_route(path), json=body)
    assert _shape([response.json()]) == _shape(recorded(file))


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
    recorded: Callable[[str], list[dict[str, Any]]],
    file: str,
    path: str,
    body: dict[str, Any],
) -> None:
    """The embedded server's events have the keys and types of TGI's, group by group."""
    response = await embedded.post(_route(path), json=body | {"stream": True})
    *sent, done = events(response.text)
    assert done == "[DONE]"
    assert _shape(sent) == _shape(recorded(file))


def _route(path: str) -> str:
    return {"chat": "/v1/chat/completions", "completions": "/v1/completions"}.get(path, f"/{path}")


def _shape(value: Any, at: str = "") -> set[tuple[str, str]]:
    """Return every path in a JSON value with the type of what is there."""
    if isinstance(value, dict):
        return {(at, "object")}.union(*(_shape(v, f"{at}.{k}") for k, v in value.items()))
    if isinstance(value, list):
        return {(at, "list")}.union(*(_shape(v, f"{at}[]") for v in value))
    return {(at, type(value).__name__)}
