"""Log lines say what happened and where, never what somebody wrote."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from core import logs
from core.errors import ModelTimeout


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where lines go; the root logger is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    quiet = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def fail(error: Exception) -> None:
    try:
        raise error
    except type(error):
        logging.getLogger("test").exception("it failed", extra={"run_id": "r1"})


def test_json_has_one_object_a_line(stream: io.StringIO) -> None:
    """Time, level, logger, message and what `extra` gives."""
    logs.configure("INFO", "json", stream)
    logging.getLogger("test").info("took %d ms", 5, extra={"path": "/a\nb", "ms": 5})
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "INFO",
        "logger": "test",
        "message": "took 5 ms",
        "path": "/a\nb",
        "ms": 5,
    }


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_foreign_error_is_named_but_not_quoted(stream: io.StringIO, form: str) -> None:
    """Its words may repeat what a user wrote; its type and place do not."""
    logs.configure("INFO", "json" if form == "json" else "text", stream)
    fail(ValueError("invalid: my secret"))
    said = stream.getvalue()
    assert "ValueError" in said
    assert "test_logs.py" in said
    assert "r1" in said
    assert "secret" not in said


def test_at_debug_everything_is_told(stream: io.StringIO) -> None:
    """Who debugs may see what an error says."""
    logs.configure("DEBUG", "text", stream)
    fail(ValueError("invalid: my secret"))
    assert "ValueError: invalid: my secret" in stream.getvalue()


def test_our_own_errors_are_quoted(stream: io.StringIO) -> None:
    """They are written for the operator."""
    logs.configure("INFO", "json", stream)
    fail(ModelTimeout())
    assert "The model server took too long." in json.loads(stream.getvalue())["error"]


def test_the_request_id_is_on_every_line_of_its_task(stream: io.StringIO) -> None:
    """So that an answer's request id finds the lines that belong to it."""
    logs.configure("INFO", "json", stream)
    token = logs.request_id.set("req_1")
    logging.getLogger("test").info("a")
    logs.request_id.reset(token)
    logging.getLogger("test").info("b")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["request_id"] == "req_1"
    assert "request_id" not in second


def test_a_value_cannot_forge_a_line(stream: io.StringIO) -> None:
    """In the text form, line breaks and blanks in a value are escaped."""
    logs.configure("INFO", "text", stream)
    logging.getLogger("test").info("request", extra={"path": "/a\n12:00:00 ERROR level=bad"})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith('path="/a\\n12:00:00 ERROR level=bad"')


def test_no_other_handler_is_added_later(stream: io.StringIO) -> None:
    """`logging.debug`, which guardrails calls, installs one only where there is none."""
    logs.configure("INFO", "text", stream)
    logging.debug("x")
    assert len(logging.getLogger().handlers) == 1
