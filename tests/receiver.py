"""A stand-in for a Langfuse server: takes OTLP over HTTP on localhost and keeps what it got."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.listener import Answer, Listener, Request

TRACES = "/api/public/otel/v1/traces"


@dataclass(frozen=True)
class Span:
    """A span as it was sent."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    status: str  # its description
    scope: str
    attributes: dict[str, Any]
    resource: dict[str, Any]

    def json(self, key: str) -> Any:
        """Return the value of the attribute `langfuse.<key>`, decoded."""
        return json.loads(self.attributes[f"langfuse.{key}"])

    @property
    def kind(self) -> str:
        """What Langfuse calls it: span, retriever, generation."""
        return str(self.attributes["langfuse.observation.type"])


class Receiver(Listener):
    """The server. With `hangs` it takes requests and answers none until the end."""

    def __init__(self, *, status: int = 200, hangs: bool = False) -> None:
        super().__init__()
        self.spans: list[Span] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.raw = b""  # all bodies, decompressed
        self.asked = threading.Event()  # a request has arrived
        self._status = status
        self._hangs = hangs

    def span(self, name: str) -> Span:
        """Return the one span with this name."""
        [span] = [span for span in self.spans if span.name == name]
        return span

    def take(self, request: Request) -> Answer:
        """Keep a request and return the answer to it."""
        self.requests.append((request.method, request.path, request.headers))
        self.asked.set()
        if self._hangs:
            self.released.wait()
        kind = {"Content-Type": "application/x-protobuf"}
        if request.path != TRACES:
            return Answer(self._status, b"{}", kind)
        body = request.body
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.raw += body
        self.spans += decode(body)
        return Answer(self._status, ExportTraceServiceResponse().SerializeToString(), kind)


def decode(body: bytes) -> list[Span]:
    """Return the spans of an OTLP request."""
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    return [
        Span(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            began_ns=span.start_time_unix_nano,
            ended_ns=span.end_time_unix_nano,
            status=span.status.message,
            scope=scope_spans.scope.name,
            attributes={item.key: _plain(item.value) for item in span.attributes},
            resource={item.key: _plain(item.value) for item in spans.resource.attributes},
        )
        for spans in request.resource_spans
        for scope_spans in spans.scope_spans
        for span in scope_spans.spans
    ]


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
