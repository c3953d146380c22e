"""How the embedded server says no: TGI's error bodies and status codes.

Failure
├── Refused       the request was not understood: plain text, before anything else happened
└── InferError    the request cannot be answered: JSON, or an event of a stream that has begun
    ├── Invalid       422 validation
    ├── ToolError     422 tool_error
    ├── Overloaded    429 overloaded
    ├── Broken        424 generation
    └── Incomplete    500 incomplete_generation
"""

from __future__ import annotations

from typing import Any, ClassVar


class Failure(Exception):
    """The request fails with a status of its own."""


class Refused(Failure):
    """The body could not be read as a request; `text` is the whole answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class InferError(Failure):
    """The request was understood and cannot be answered."""

    status: ClassVar[int] = 422
    error_type: ClassVar[str] = "validation"
    counted_as: ClassVar[str] = "validation"  # the `err` label of tgi_request_failure
    prefix: ClassVar[str] = ""

    def __init__(self, detail: str = "") -> None:
        super().__init__(self.prefix + detail)

    def body(self) -> dict[str, Any]:
        """Return the JSON body, which is also the error event of /generate_stream."""
        return {"error": str(self), "error_type": self.error_type}

    def event(self) -> dict[str, Any]:
        """Return the error event of a chat stream, where TGI calls every failure 422."""
        return {"error": {"message": str(self), "http_status_code": 422}}


class Invalid(InferError):
    """A parameter or the input is out of bounds."""

    prefix = "Input validation error: "


class ToolError(InferError):
    """The tools do not fit the request, or the call came out incomplete."""

    error_type = "tool_error"
    prefix = "Tool error: "


class Overloaded(InferError):
    """Every slot is taken; TGI answers at once rather than queue."""

    status = 429
    error_type = "overloaded"
    counted_as = "overloaded"
    prefix = "Model is overloaded"


class Broken(InferError):
    """The model itself failed."""

    status = 424
    error_type = "generation"
    counted_as = "generation"
    prefix = "Request failed during generation: "


class Incomplete(InferError):
    """The model stopped before its answer was whole."""

    status = 500
    error_type = "incomplete_generation"
    counted_as = "generation"
    prefix = "Incomplete generation: "
