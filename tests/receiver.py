"""A stand-in for a Langfuse server: takes OTLP over HTTP on localhost and keeps what it got."""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

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


class Receiver:
    """The server; `with` runs it. With `hangs` it takes requests and answers none until the end."""

    def __init__(self, *, status: int = 200, hangs: bool = False) -> None:
        self.spans: list[Span] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.raw = b""  # all bodies, decompressed
        self.asked = threading.Event()  # a request has arrived
        self._status = status
        self._released = threading.Event()
        if not hangs:
            self._released.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def span(self, name: str) -> Span:
        """Return the one span with this name."""
        [span] = [span for span in self.spans if span.name == name]
        return span

    def take(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """Keep a request and return the answer to it."""
        self.requests.append((method, path, headers))
        self.asked.set()
        self._released.wait()
        if path != TRACES:
            return b"{}"
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.raw += body
        self.spans += decode(body)
        return bytes(ExportTraceServiceResponse().SerializeToString())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                answer = receiver.take(self.command, self.path, headers, body)
                self.send_response(receiver._status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST  # noqa: N815 - http.server's names

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler


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
