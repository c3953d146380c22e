"""Logs of this process: one line an event, as JSON or for a terminal, never message text.

The text of foreign exceptions may quote what a user wrote (a driver quotes the row that it
could not store), so a line shows where an error happened and of which type it was; what it
said appears at level DEBUG only.
"""

from __future__ import annotations

import contextvars
import json
import logging
import sys
from datetime import UTC, datetime
from traceback import extract_tb
from types import TracebackType
from typing import Any, Literal, TextIO

from core.errors import ParleyError

request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
"""The request that the running task serves; a run inherits it from the request that began it."""

# Chatty at INFO about what our own lines already say, or quoting what passes through.
QUIET = (
    *("httpx", "httpx2", "httpcore", "uvicorn", "asyncio", "langfuse", "opentelemetry", "openai"),
    "procrastinate",
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def configure(level: Level, form: Literal["json", "text"], stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (default: standard error).

    Has to happen before guardrails is imported: that calls `logging.debug`, which would
    install a handler of its own.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        (JsonFormatter if form == "json" else TextFormatter)(told=level == "DEBUG")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(level)))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, and what `extra` gives."""

    def __init__(self, *, told: bool = False) -> None:
        super().__init__()
        self._told = told

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (current := request_id.get()) is not None:
            line["request_id"] = current
        line.update(_extra(record))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = name_of(record.exc_info[1], told=self._told)
            line["stack"] = frames(record.exc_info[2])
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """For people at a terminal: time, level, logger, message, then key=value."""

    def __init__(self, *, told: bool = False) -> None:
        super().__init__()
        self._told = told

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines where there is a stack, for `record`."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        parts = [f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}"]
        extra = _extra(record)
        if (current := request_id.get()) is not None:
            extra.setdefault("request_id", current)
        parts += [f"{key}={_in_line(value)}" for key, value in extra.items()]
        line = " ".join(parts)
        if record.exc_info and record.exc_info[1] is not None:
            stack = "".join(f"\n    {frame}" for frame in frames(record.exc_info[2]))
            line += f" error={name_of(record.exc_info[1], told=self._told)}{stack}"
        return line


def name_of(error: BaseException, *, told: bool = False) -> str:
    """Return the type of `error`, with its words when they are ours or when `told`."""
    name = type(error).__name__
    return f"{name}: {error}" if told or isinstance(error, ParleyError) else name


def frames(traceback: TracebackType | None) -> list[str]:
    """Return where the error passed, innermost last, as `file:line function`."""
    return [f"{f.filename}:{f.lineno} {f.name}" for f in extract_tb(traceback)]


def _in_line(value: Any) -> str:
    """Return `value` so that it can neither end the line nor look like another field."""
    text = str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _STANDARD and k != "color_message"}
