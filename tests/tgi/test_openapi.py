"""The embedded server against TGI's own API description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.tgi.bodies import CHAT, FORMAT, TOOL
from tests.tgi.spec import Spec, events

pytestmark = pytest.mark.data


@pytest.fixture
def spec(snapshots: Path) -> Spec:
    """TGI's API description."""
    return Spec(snapshots.parent / "openapi.json")


@pytest.mark.parametrize(
    ("path", "component", "body"),
    [
        ("/v1/chat/completions", "ChatCompletion", CHAT),
        ("/v1/chat/completions", "ChatCompletion", CHAT | {"logprobs": True}),
        ("/v1/chat/completions", "ChatCompletion", CHAT | {"max_tokens": 2}),
        ("/v1/chat/completions", "ChatCompletion", CHAT | TOOL),
        ("/v1/chat/completions", "ChatCompletion", CHAT | FORMAT),
        ("/v1/completions", "CompletionFinal", {"prompt": "And"}),
        ("/v1/completions", "CompletionFinal", {"prompt": ["And", "Or"]}),
        ("/generate", "GenerateResponse", {"inputs": "And"}),
        (
            "/generate",
            "GenerateResponse",
            {
                "inputs": "And",
                "parameters": {
                    "details": True,
                    "decoder_input_details": True,
                    "top_n_tokens": 2,
                    "best_of": 2,
                    "do_sample": True,
                },
            },
        ),
        ("/tokenize", "TokenizeResponse", {"inputs": "And so on."}),
        ("/chat_tokenize", "ChatTokenizeResponse", CHAT | TOOL),
        ("/invocations", "ChatCompletion", CHAT),
        ("/invocations", "CompletionFinal", {"prompt": "And"}),
    ],
)
async def test_whole_answers(
    embedded: httpx.AsyncClient, spec: Spec, path: str, component: str, body: dict[str, Any]
) -> None:
    """Each whole answer is what the description says."""
    response = await embedded.post(path, json=body)
    assert response.status_code == 200
    spec.check(component, response.json())


@pytest.mark.parametrize("path", ["/", "/invocations"])
async def test_compatible_answers_come_in_a_list(
    embedded: httpx.AsyncClient, spec: Spec, path: str
) -> None:
    """The compatible route answers with a list of one."""
    response = await embedded.post(path, json={"inputs": "And"})
    (answer,) = response.json()
    spec.check("GenerateResponse", answer)


@pytest.mark.parametrize(
    ("path", "component", "body"),
    [
        ("/v1/chat/completions", "ChatCompletionChunk", CHAT),
        (
            "/v1/chat/completions",
            "ChatCompletionChunk",
            CHAT | {"logprobs": True, "stream_options": {"include_usage": True}},
        ),
        (
            "/v1/chat/completions",
            "ChatCompletionChunk",
            CHAT | TOOL | {"stream_options": {"include_usage": True}},
        ),
        ("/v1/completions", "Chunk", {"prompt": ["And", "Or"]}),
        ("/generate_stream", "StreamResponse", {"inputs": "And"}),
        (
            "/generate_stream",
            "StreamResponse",
            {"inputs": "And", "parameters": {"details": True, "top_n_tokens": 1}},
        ),
        ("/", "StreamResponse", {"inputs": "And"}),
    ],
)
async def test_streams(
    embedded: httpx.AsyncClient, spec: Spec, path: str, component: str, body: dict[str, Any]
) -> None:
    """Each event of a stream is what the description says."""
    response = await embedded.post(path, json=body | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    sent = [event for event in events(response.text) if event != "[DONE]"]
    assert sent
    for event in sent:
        spec.check(component, event)


async def test_info(embedded: httpx.AsyncClient, spec: Spec) -> None:
    """/info and /v1/models are what the description says and name this model."""
    info = (await embedded.get("/info")).json()
    spec.check("Info", info)
    assert (info["model_id"], info["router"]) == ("parley-extractive", "parley-extractive")
    models = (await embedded.get("/v1/models")).json()
    assert models["object"] == "list"
    spec.check("ModelInfo", models["data"][0])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT | {"top_p": 1.0}),
        ("/v1/chat/completions", CHAT | TOOL | FORMAT),
        ("/generate", {"inputs": ""}),
        ("/v1/completions", {"prompt": "And", "suffix": "."}),
    ],
)
async def test_errors(
    embedded: httpx.AsyncClient, spec: Spec, path: str, body: dict[str, Any]
) -> None:
    """A refusal has TGI's error body."""
    response = await embedded.post(path, json=body)
    assert response.status_code == 422
    spec.check("ErrorResponse", response.json())
