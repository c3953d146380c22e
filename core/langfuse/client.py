"""Opens a trace per turn and closes the connection to Langfuse in bounded time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from langfuse import Langfuse
from langfuse import __version__ as sdk_version
from langfuse._client.resource_manager import LangfuseResourceManager
from opentelemetry.sdk.trace import TracerProvider

from core.langfuse.clean import Clean
from core.langfuse.export import CountingExporter, Ended
from core.langfuse.inside import Reporter
from core.langfuse.trace import LangfuseTrace
from core.telemetry import NullTrace, Trace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the traces so far."""

    ended: int  # spans made; what is neither sent nor lost waits, or fell off a full queue
    sent: int  # spans that Langfuse took
    lost: int  # spans that Langfuse did not take
    failures: int  # calls of a trace that failed inside


class LangfuseTracer:
    """Traces turns. Spans wait in a bounded queue that a thread sends; no turn ever waits."""

    def __init__(
        self,
        client: Langfuse,
        provider: TracerProvider,
        exporter: CountingExporter,
        *,
        public_key: str,
        mask: Callable[[str], str] | None,
        close_seconds: float,
    ) -> None:
        self._client = client
        self._provider = provider
        self._exporter = exporter
        self._public_key = public_key
        self._clean = Clean(mask)
        self._close_seconds = close_seconds
        self._failures = 0
        self._ended = Ended()
        provider.add_span_processor(self._ended)
        # The SDK's own tracer cannot begin a span in the past; this one has the same scope.
        spans = provider.get_tracer(
            "langfuse-sdk", sdk_version, attributes={"public_key": public_key}
        )
        self._reporter = Reporter(client, spans, self._clean)

    @property
    def counts(self) -> Counts:
        """How many spans were made, sent and lost, and how many calls failed."""
        return Counts(self._ended.spans, self._exporter.sent, self._exporter.lost, self._failures)

    def turn(
        self, *, run_id: str, thread_id: str, user_id: str, tenant_id: str, text: str, attempt: int
    ) -> Trace:
        """Begin the trace of a turn; its id follows from the run's, also in another process."""
        try:
            return LangfuseTrace(
                self._client,
                self._reporter,
                self._clean,
                self.failed,
                run_id=run_id,
                thread_id=thread_id,
                user_id=user_id,
                tenant_id=tenant_id,
                text=text,
                attempt=attempt,
            )
        except Exception as error:  # noqa: BLE001 - a turn must not fail because tracing does
            self.failed(error)
            return NullTrace()

    def failed(self, error: Exception) -> None:
        """Count a failure inside tracing, and log the first; never its text."""
        self._failures += 1
        if self._failures == 1:
            log.warning("tracing failed (%s); turns go on without it", type(error).__name__)

    async def close(self) -> None:
        """Send what waits, for a few seconds at most; then leave it."""
        # A daemon thread: one of the loop's executor would be waited for when the loop ends.
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            try:
                self._client.shutdown()
                self._provider.shutdown()
            except Exception as error:  # noqa: BLE001 - nothing is left to protect
                self.failed(error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=work, name="langfuse-close", daemon=True).start()
        try:
            await asyncio.wait_for(done.wait(), self._close_seconds)
        except TimeoutError:
            self._exporter.shutdown()
            log.warning("Langfuse did not answer in time; the last spans are lost")
        # The SDK keeps one client per key for ever: the next tracer would get this closed one.
        LangfuseResourceManager._instances.pop(self._public_key, None)
