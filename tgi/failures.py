"""What a model server's refusals mean to us."""

from __future__ import annotations

from typing import Any

import orjson

from core.errors import ModelError, ModelOverloaded, ModelRejected, ModelTimeout, ModelUnavailable

_SHOWN = 300  # characters of a server's own sentence: enough to act on, too few for a prompt


def from_status(status: int, body: bytes) -> ModelError:
    """Return the error for an HTTP answer that is not 200."""
    said = _said(body)
    sentence = f"The model server answered {status}" + (f": {said}" if said else ".")
    if status == 429:
        return ModelOverloaded()
    if status in {408, 504}:
        return ModelTimeout(sentence)
    if status in {401, 403}:
        return ModelRejected(sentence, hint="Check MODEL_API_KEY.")
    if status in {404, 405}:
        return ModelRejected(sentence, hint="Check MODEL_URL and MODEL_PROFILE.")
    # 424 is TGI's "failed during generation": the request was fine, the server was not.
    if 400 <= status < 500 and status != 424:
        return ModelRejected(sentence)
    return ModelUnavailable(sentence)


def from_event(frame: dict[str, Any]) -> ModelError:
    """Return the error for an `error` event inside a stream.

    A chat stream of TGI calls every failure 422, so the words decide.
    """
    error = frame["error"]
    if isinstance(error, dict):
        said = str(error.get("message", ""))
        status = error.get("http_status_code", error.get("code"))
        kind = str(error.get("type", ""))
    else:
        said, status, kind = str(error), None, str(frame.get("error_type", ""))
    sentence = f"The model server failed: {said[:_SHOWN]}"
    if status == 429 or kind == "overloaded" or "overloaded" in said.lower():
        return ModelOverloaded()
    if kind in {"generation", "incomplete_generation"} or said.startswith(
        ("Request failed during generation", "Incomplete generation")
    ):
        return ModelUnavailable(sentence)
    if kind in {"validation", "tool_error", "template_error"} or (
        isinstance(status, int) and 400 <= status < 500
    ):
        return ModelRejected(sentence)
    return ModelUnavailable(sentence)


def _said(body: bytes) -> str:
    """Return what the server says about it: TGI's `error`, OpenAI's, or its plain text."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text[:_SHOWN]  # a proxy's page says nothing
    error = data.get("error", data.get("message", "")) if isinstance(data, dict) else ""
    if isinstance(error, dict):
        error = error.get("message", "")
    return str(error)[:_SHOWN]
