"""What the documentation shows of OpenAI's dialect."""

from __future__ import annotations

from typing import Any

MODEL = {
    "id": "parley",
    "object": "model",
    "created": 0,
    "owned_by": "parley",
    "name": "parley-extractive",
    "version": "1",
    "server": "parley-extractive 1",
}
_HEAD = {
    "id": "chatcmpl-01937b6e-3c2f-7d02-8d0e-5f2f6f0f9d11",
    "object": "chat.completion",
    "created": 1795167000,
    "model": "parley-extractive",
    "system_fingerprint": "1",
    "service_tier": "default",
}
_MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "content": "Stop the server, then run the restore command [1].",
    "refusal": None,
    "annotations": [],
    "parley": {
        "status": "succeeded",
        "thread_id": "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10",
        "run_id": "01937b6e-3c2f-7d02-8d0e-5f2f6f0f9d11",
        "citations": [{"marker": 1, "title": "Backups", "uri": "docs/backup.md"}],
        "sources": [{"marker": 1, "title": "Backups", "score": 0.87}],
        "abstained": False,
        "cached": None,
        "level": "full",
        "model": {
            "name": "parley-extractive",
            "version": "1",
            "server": "parley-extractive 1",
        },
    },
}
COMPLETION = {
    **_HEAD,
    "choices": [{"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 640,
        "completion_tokens": 12,
        "total_tokens": 652,
        "cost_usd": 0.000135,
    },
}
STREAM = 'data: {"object":"chat.completion.chunk",…}\n\ndata: [DONE]\n\n'
ERROR = {
    "error": {
        "message": "`tools` is not supported.",
        "type": "invalid_request_error",
        "param": "tools",
        "code": "unsupported_parameter",
    }
}

Answers = dict[int | str, dict[str, Any]]


def answers(example: Any, *, stream: str | None = None) -> Answers:
    """Return the answers of a route whose good one looks like `example`."""
    content: dict[str, Any] = {"application/json": {"example": example}}
    if stream is not None:
        content["text/event-stream"] = {"example": stream}
    error = {"content": {"application/json": {"example": ERROR}}}
    return {
        200: {"content": content},
        "4XX": {"description": "The request cannot be served as it stands.", **error},
        "5XX": {"description": "A service that Parley needs is not working.", **error},
    }
