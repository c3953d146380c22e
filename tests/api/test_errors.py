"""Errors become answers in one table."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest

from api.errors import STATUS, answer, explain, from_event, native_body, status_of, unexpected
from core.errors import (
    DatabaseBusy,
    InvalidInput,
    ModelTimeout,
    ParleyError,
    RunActive,
    UnsupportedParameter,
)


def tree(kind: type[ParleyError]) -> Iterator[type[ParleyError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__.startswith("core.errors"):
            yield from tree(child)


def test_the_table_is_complete() -> None:
    """Every class of core.errors has a status of its own in the table, and nothing else has."""
    assert set(STATUS) == set(tree(ParleyError))


@pytest.mark.parametrize("kind", list(tree(ParleyError)), ids=lambda kind: kind.__name__)
def test_user_errors_are_4xx_and_operator_errors_5xx(kind: type[ParleyError]) -> None:
    """Only what the operator can mend, or nobody expected, is a server error."""
    mendable = {ancestor.__name__ for ancestor in kind.__mro__}
    server = "OperatorError" in mendable or kind is ParleyError
    assert (status_of(kind("x")) >= 500) == server


@pytest.mark.parametrize("kind", list(tree(ParleyError)), ids=lambda kind: kind.__name__)
def test_an_error_keeps_its_class_through_an_event(kind: type[ParleyError]) -> None:
    """What a `run.failed` event tells of is answered like the error itself."""
    error = from_event({"code": kind.code, "message": "said"})
    assert type(error) is kind
    assert error.message == "said"


def test_an_unknown_code_is_an_unexpected_error() -> None:
    """A code from a newer process is a 500, not a crash."""
    assert status_of(from_event({"code": "from_the_future", "message": "m"})) == 500


def test_native_shape() -> None:
    """Our own errors carry code, message, hint and request id."""
    body = orjson.loads(answer("/v1/threads", "req_1", RunActive(hint="Wait.")).body)
    assert body == {
        "error": {
            "code": "run_active",
            "message": "This thread already has an active run: wait for it or cancel it.",
            "hint": "Wait.",
            "request_id": "req_1",
        }
    }


def test_openai_shape() -> None:
    """OpenAI's routes answer in OpenAI's shape, and a 422 is a 400 there."""
    response = answer("/v1/chat/completions", "r", UnsupportedParameter("No.", param="tools"))
    assert response.status_code == 400
    assert orjson.loads(response.body) == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "tools",
            "code": "unsupported_parameter",
        }
    }
    assert answer("/v1/chat/completions", "r", InvalidInput("No.")).status_code == 400
    assert answer("/v1/threads", "r", InvalidInput("No.")).status_code == 422
    timeout = answer("/v1/models", "r", ModelTimeout())
    assert timeout.status_code == 504
    assert orjson.loads(timeout.body)["error"]["type"] == "server_error"


def test_503_says_when_to_come_back() -> None:
    """A busy service answers with Retry-After."""
    assert answer("/v1/threads", "r", DatabaseBusy()).headers["retry-after"] == "2"
    assert "retry-after" not in answer("/v1/threads", "r", RunActive()).headers


def test_an_unexpected_error_tells_nothing_but_the_request_id() -> None:
    """The answer to a bug holds no name, no text and no place of what went wrong."""
    response = unexpected("/v1/threads", "req_7")
    assert response.status_code == 500
    error = orjson.loads(response.body)["error"]
    assert error["code"] == "internal_error"
    assert error["request_id"] == "req_7"
    assert "Traceback" not in error["message"]


def test_a_validation_error_names_the_field_and_not_its_value() -> None:
    """What was sent is not repeated in the answer."""
    error = explain(
        [
            {
                "type": "string_type",
                "loc": ("body", "messages", 1, "content"),
                "msg": "Input should be a valid string",
                "input": "a secret",
            }
        ]
    )
    assert native_body(error, None)["param"] == "messages[1].content"
    assert "secret" not in error.message
