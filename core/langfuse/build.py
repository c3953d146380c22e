"""From settings to a tracer. Langfuse's SDK is imported only here, and only with keys."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from core.errors import SettingsInvalid
from core.settings import LangfuseSettings
from core.telemetry import NullTracer, Tracer

if TYPE_CHECKING:
    from core.langfuse.client import LangfuseTracer

EXPORT_TIMEOUT_SECONDS = 5
# Spans of one request: a generation carries the whole prompt, and the queue holds 2048 spans.
BATCH_SPANS = 128
_ENVIRONMENT = re.compile(r"(?!langfuse)[a-z0-9_-]{1,40}")


async def tracer(
    settings: LangfuseSettings,
    *,
    release: str = "",
    mask: Callable[[str], str] | None = None,
    close_seconds: float = 3.0,
) -> Tracer:
    """Return what these settings ask for: a Langfuse tracer, or none without keys.

    release: version of Parley shown on each trace.
    mask: applied to every text before it becomes part of a trace; when it raises, the
    text is replaced whole.
    close_seconds: how long close() may wait for the server.
    Raises SettingsInvalid for keys without an address (the SDK would send everything to
    its vendor's cloud), for one key of two, and for an environment Langfuse rejects.
    """
    if not settings.public_key and settings.secret_key is None:
        return NullTracer()
    if not settings.public_key or settings.secret_key is None or not settings.base_url:
        raise SettingsInvalid(
            "LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and LANGFUSE_BASE_URL belong together: "
            "set all three, or no key to trace nothing."
        )
    if not _ENVIRONMENT.fullmatch(settings.environment):
        raise SettingsInvalid(
            "LANGFUSE_ENVIRONMENT takes at most 40 of a-z, 0-9, - and _, and must not begin "
            "with `langfuse`."
        )
    # In a thread: importing the SDK takes a second.
    return await asyncio.to_thread(
        _open,
        settings.public_key,
        settings.secret_key.get_secret_value(),
        settings.base_url.rstrip("/"),
        settings.environment,
        settings.sample_rate,
        release,
        mask,
        close_seconds,
    )


def _open(
    public_key: str,
    secret_key: str,
    base_url: str,
    environment: str,
    sample_rate: float,
    release: str,
    mask: Callable[[str], str] | None,
    close_seconds: float,
) -> LangfuseTracer:
    import langfuse
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    from core.langfuse.client import LangfuseTracer
    from core.langfuse.export import CountingExporter

    # A provider of our own: without one the SDK becomes the process's global provider and
    # would receive the spans of every other library. Its exit hook would wait for the server.
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: "parley"}),
        sampler=TraceIdRatioBased(sample_rate),
        shutdown_on_exit=False,
    )
    basic = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode("ascii")
    exporter = CountingExporter(
        OTLPSpanExporter(
            endpoint=f"{base_url}/api/public/otel/v1/traces",
            headers={
                "Authorization": f"Basic {basic}",
                "x-langfuse-sdk-name": "python",
                "x-langfuse-sdk-version": langfuse.__version__,
                "x-langfuse-public-key": public_key,
                "x-langfuse-ingestion-version": "4",
            },
            timeout=EXPORT_TIMEOUT_SECONDS,
            compression=Compression.Gzip,
        )
    )
    client = langfuse.Langfuse(
        public_key=public_key,
        secret_key=secret_key,
        base_url=base_url,
        timeout=EXPORT_TIMEOUT_SECONDS,
        environment=environment,
        release=release or None,
        flush_at=BATCH_SPANS,
        sample_rate=sample_rate,
        tracer_provider=provider,
        span_exporter=exporter,
    )
    return LangfuseTracer(
        client,
        provider,
        exporter,
        public_key=public_key,
        mask=mask,
        close_seconds=close_seconds,
    )
