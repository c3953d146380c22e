"""Counts what reaches Langfuse, and says once when nothing does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import ContextVar

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = logging.getLogger(__name__)

_EXPORTER_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_ours: ContextVar[bool] = ContextVar("parley_langfuse_export", default=False)


class CountingExporter(SpanExporter):
    """Passes spans on; `sent` and `lost` count them."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._down = self._shut = False
        self.sent = 0
        self.lost = 0
        logging.getLogger(_EXPORTER_LOG).addFilter(_not_ours)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export; a failure is counted, and logged when it is the first in a row."""
        token = _ours.set(True)
        try:
            result = self._exporter.export(spans)
        finally:
            _ours.reset(token)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
            if self._down:
                log.info("Langfuse takes traces again; %d spans were lost so far", self.lost)
            self._down = False
        else:
            self.lost += len(spans)
            if not self._down:
                log.warning("Langfuse does not take traces; turns go on without them")
            self._down = True
        return result

    def shutdown(self) -> None:
        """End a retry that waits, and close the connection."""
        if not self._shut:
            self._shut = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is buffered here."""
        return True


class Ended(SpanProcessor):
    """Counts the spans that ended: what was neither sent nor lost waits, or fell off the queue."""

    def __init__(self) -> None:
        self.spans = 0

    def on_end(self, span: ReadableSpan) -> None:
        """Count one more."""
        self.spans += 1


def _not_ours(record: logging.LogRecord) -> bool:
    """Drop what the wrapped exporter logs at every failed batch: ours says it once."""
    return not _ours.get()
