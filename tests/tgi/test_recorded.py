"""TGI's recorded answers: whatever the recordings are, our clients read each as it was sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from text_generation import AsyncClient  # type: ignore[import-untyped]
from text_generation.types import StreamResponse  # type: ignore[import-untyped]

from core.errors import ModelError, StreamCut
from core.settings import ModelSettings
from tests.tgi.recorded import Kind, Player, Recording, load
from tests.tgi.scripted import serving
from tgi.chat_model import TgiChatModel, connect
from tgi.client import DONE
from tgi.failures import from_status
from tgi.native import read
from tgi.reading import Reading, whole

pytestmark = [
    pytest.mark.data,
    # text-generation 0.7 is from March 2024.
    pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20"),
]

SETTINGS = ModelSettings(_env_file=None)
STATUS = {"overloaded": 429, "generation": 424, "incomplete_generation": 500}  # others: 422
REASONS = {"eos_token": "stop", "stop_sequence": "stop", None: "stop"}


@pytest.fixture
def recordings(snapshots: Path) -> list[Recording]:
    """Every recording."""
    return load(snapshots)


async def test_every_recording_is_known(recordings: list[Recording]) -> None:
    """Each file is one kind of answer, so that none goes unread."""
    assert [r.file for r in recordings if r.kind is Kind.UNKNOWN] == []


async def test_recordings_are_what_the_manifest_says(
    snapshots: Path, recordings: list[Recording]
) -> None:
    """Where a manifest names the routes, the shapes say the same."""
    manifest = snapshots / "MANIFEST.json"
    if not manifest.exists():
        pytest.skip(f"no {manifest}")
    kinds = {recording.file: recording.kind for recording in recordings}
    routes = {
        "/": Kind.GENERATED,
        "/generate": Kind.GENERATED,
        "/v1/chat/completions": Kind.CHAT,
        "/v1/chat/completions (stream)": Kind.CHAT_STREAM,
        "/v1/completions": Kind.COMPLETION,
        "/v1/completions (stream)": Kind.COMPLETION_STREAM,
    }
    for entry in orjson.loads(manifest.read_bytes())["files"]:
        route = entry["route"].partition(" (same")[0]
        assert kinds[entry["file"]] is routes[route], entry["file"]


async def test_whole_chat_answers(recordings: list[Recording]) -> None:
    """Text, usage, finish reason and calls of each whole chat answer arrive as recorded."""
    player = Player("/v1/chat/completions")
    async with serving(player.app) as url, connect(SETTINGS, url=url) as model:
        for recording in recordings:
            for sent in recording.objects if recording.kind is Kind.CHAT else ():
                player.play(sent)
                assert _seen(await model.ainvoke("?")) == _whole(sent), recording.file


async def test_chat_streams(recordings: list[Recording]) -> None:
    """Text, usage, finish reason and calls of each chat stream arrive as recorded.

    A recording of only the last event is half an answer, and is not taken for one.
    """
    player = Player("/v1/chat/completions")
    async with serving(player.app) as url, connect(SETTINGS, url=url) as model:
        for recording in recordings:
            if recording.kind is Kind.CHAT_STREAM:
                player.play(recording.objects)
                if (expected := _streamed(recording.objects)) is None:
                    with pytest.raises(StreamCut):
                        await _joined(model)
                else:
                    assert _seen(await _joined(model)) == expected, recording.file


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.floats(0, 1), max_size=12), data=st.data())
async def test_wherever_the_network_cuts(
    recordings: list[Recording], cuts: list[float], data: st.DataObject
) -> None:
    """However a stream's bytes are cut into packets, the message is the same."""
    whole_ones = [
        r for r in recordings if r.kind is Kind.CHAT_STREAM and _streamed(r.objects) is not None
    ]
    if not whole_ones:
        pytest.skip("no whole chat stream among the recordings")
    sent = data.draw(st.sampled_from(whole_ones)).objects
    raw = b"".join(b"data: " + orjson.dumps(item) + b"\n\n" for item in sent)
    raw += b"data: [DONE]\n\n"
    at = [0, *sorted(int(cut * len(raw)) for cut in cuts), len(raw)]
    packets = Packets([raw[start:stop] for start, stop in pairwise(at)])
    headers = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=packets))
    async with (
        httpx.AsyncClient(transport=transport) as http,
        connect(SETTINGS, url="http://model", http=http) as model,
    ):
        assert _seen(await _joined(model)) == _streamed(sent)


async def test_completions(recordings: list[Recording]) -> None:
    """The text and the end of each answer of a completion arrive as recorded, also of several."""
    for recording in recordings:
        if recording.kind is Kind.COMPLETION:
            for sent in recording.objects:
                for choice in sent["choices"]:
                    read = whole(sent, choice=choice["index"])
                    assert read.text == choice["text"], recording.file
                    assert read.finish_reason == _reason(choice["finish_reason"], called=False)
        if recording.kind is Kind.COMPLETION_STREAM:
            choices = [choice for sent in recording.objects for choice in sent["choices"]]
            for index in {choice["index"] for choice in choices}:
                mine = [choice for choice in choices if choice["index"] == index]
                reading = Reading(choice=index)
                text = reading.feed([*recording.objects, DONE]).text + reading.finish().text
                assert text == "".join(choice["text"] for choice in mine), recording.file
                assert reading.finish_reason == _reason(mine[-1]["finish_reason"], called=False)


async def test_native_answers(recordings: list[Recording]) -> None:
    """Each recorded answer of /generate is read as it was sent, and each event of its stream."""
    for recording in recordings:
        for sent in recording.objects:
            if recording.kind is Kind.GENERATED:
                answer = read(sent)
                assert answer.generated_text == sent["generated_text"]
                assert answer.cut == (sent["details"]["finish_reason"] == "length")
                assert _ids(answer.details) == _ids_of(sent["details"])
                others = getattr(answer.details, "best_of_sequences", None) or []
                wanted = sent["details"].get("best_of_sequences") or []
                assert [_ids(other) for other in others] == [_ids_of(other) for other in wanted]
            if recording.kind is Kind.GENERATED_STREAM:
                event = StreamResponse.model_validate(sent)
                assert event.token.text == sent["token"]["text"]
                assert event.generated_text == sent.get("generated_text")


async def test_generate_answers(recordings: list[Recording]) -> None:
    """The unmodified client reads each recorded answer of /generate."""
    player = Player("/")
    async with serving(player.app) as url:
        for recording in recordings:
            for sent in recording.objects if recording.kind is Kind.GENERATED else ():
                player.play(sent)
                answer = await AsyncClient(url).generate("?")
                assert answer.generated_text == sent["generated_text"]
                assert answer.details is not None
                assert len(answer.details.tokens) == len(sent["details"]["tokens"])
                assert answer.details.finish_reason == sent["details"]["finish_reason"]


async def test_errors(recordings: list[Recording]) -> None:
    """Each recorded error is one of ours, and names what the server said unless it is busy."""
    for recording in recordings:
        for sent in recording.objects if recording.kind is Kind.ERROR else ():
            error = from_status(STATUS.get(sent.get("error_type", ""), 422), orjson.dumps(sent))
            assert isinstance(error, ModelError)
            if sent.get("error_type") != "overloaded":
                assert str(sent["error"])[:100] in error.message


class Packets(httpx.AsyncByteStream):
    """The bytes of an answer as the network delivers them."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = packets

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for packet in self._packets:
            yield packet


async def _joined(model: TgiChatModel) -> AIMessageChunk:
    chunks = [chunk async for chunk in model.astream("?")]
    joined = chunks[0]
    for chunk in chunks[1:]:
        joined += chunk
    assert isinstance(joined, AIMessageChunk)
    return joined


def _seen(answer: AIMessage) -> dict[str, Any]:
    """Return what we read, in the words of the expectations below."""
    assert all(str(call["id"]).startswith("call_") for call in answer.tool_calls)
    return {
        "text": answer.content,
        "calls": [(call["name"], call["args"]) for call in answer.tool_calls],
        "usage": answer.usage_metadata and tuple(answer.usage_metadata.values()),
        **answer.response_metadata,
    }


def _ids(details: Any) -> list[tuple[int, str]]:
    return [(token.id, token.text) for token in details.tokens]


# What should arrive, said once more in the plainest code, without any of the reader's.


def _whole(sent: dict[str, Any]) -> dict[str, Any]:
    choice = sent["choices"][0]
    calls = [_call(item["function"]) for item in _list(choice["message"].get("tool_calls"))]
    return _expected(
        choice["message"].get("content") or "",
        calls,
        _reason(choice["finish_reason"], called=bool(calls)),
        sent.get("usage"),
        sent,
    )


def _streamed(sent: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what a stream says; None when it is only a part of one."""
    choices = [one for item in sent for one in item["choices"] if one["index"] == 0]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    usage = next((item["usage"] for item in sent if item.get("usage")), None)
    reason = next((c["finish_reason"] for c in reversed(choices) if c["finish_reason"]), None)
    parts = [part for choice in choices for part in _list(choice["delta"].get("tool_calls"))]
    calls = []
    if parts:
        name = parts[0]["function"]["name"]
        arguments = "".join(part["function"]["arguments"] for part in parts)
        if arguments.endswith(last := parts[-1]["function"]["arguments"]) and last.startswith("<"):
            arguments = arguments.removesuffix(last)  # an end token
        try:
            read = json.loads(arguments if arguments.strip() != "{" else "{}")
            if name is None:
                name, read = read["function"].pop("_name"), read["function"]
        except (ValueError, KeyError):
            return None
        calls = [(name, read)]
    if usage is None and reason is None and not calls:
        return None
    return _expected(text, calls, _reason(reason, called=bool(calls)), usage, sent[0])


def _call(function: dict[str, Any]) -> tuple[str, Any]:
    given = function.get("arguments", function.get("parameters"))
    return function["name"], json.loads(given) if isinstance(given, str) else given


def _ids_of(details: dict[str, Any]) -> list[tuple[int, str]]:
    return [(token["id"], token["text"]) for token in details["tokens"]]


def _list(calls: Any) -> list[dict[str, Any]]:
    return [calls] if isinstance(calls, dict) else calls or []


def _reason(given: str | None, *, called: bool) -> str:
    named = REASONS.get(given, given or "stop")
    return "tool_calls" if called and named == "stop" else named


def _expected(
    text: str,
    calls: list[tuple[str, Any]],
    reason: str,
    usage: dict[str, int] | None,
    sent: dict[str, Any],
) -> dict[str, Any]:
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {
        "text": text,
        "calls": calls,
        "usage": usage and tuple(usage[key] for key in counted),
        "finish_reason": reason,
        "model_name": sent["model"],
        "system_fingerprint": sent["system_fingerprint"],
    }
