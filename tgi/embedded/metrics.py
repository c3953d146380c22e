"""The tgi_* metrics, as Prometheus text.

Written out here because prometheus-client renames counters to `*_total`,
and dashboards made for TGI ask for `tgi_request_count`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
TOKENS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0)
FAILURES = ("generation", "overloaded", "validation")


class Histogram:
    """Counts of values below bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> list[str]:
        """Return the samples under this name."""
        totals = list(accumulate(self._counts))
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        return [
            f"# TYPE {name} histogram",
            *(f'{name}_bucket{{le="{b}"}} {n}' for b, n in zip(bounds, totals, strict=True)),
            f"{name}_sum {self._sum:.6f}",
            f"{name}_count {totals[-1]}",
        ]


class Metrics:
    """What one embedded server has counted since it started."""

    def __init__(self) -> None:
        self._requests = 0
        self._successes = 0
        self._failures: dict[str, int] = defaultdict(int, dict.fromkeys(FAILURES, 0))
        self._histograms = {
            "tgi_request_duration": Histogram(SECONDS),
            "tgi_request_queue_duration": Histogram(SECONDS),
            "tgi_request_inference_duration": Histogram(SECONDS),
            "tgi_request_mean_time_per_token_duration": Histogram(SECONDS),
            "tgi_request_generated_tokens": Histogram(TOKENS),
            "tgi_request_input_length": Histogram(TOKENS),
        }

    def asked(self) -> None:
        """A request came in."""
        self._requests += 1

    def failed(self, err: str) -> None:
        """A request could not be answered."""
        self._failures[err] += 1

    def generated(
        self, *, seconds: float, waited_seconds: float, tokens: int, prompt_tokens: int
    ) -> None:
        """The model answered."""
        for name, value in (
            ("tgi_request_queue_duration", waited_seconds),
            ("tgi_request_inference_duration", seconds),
            ("tgi_request_mean_time_per_token_duration", seconds / max(tokens, 1)),
            ("tgi_request_generated_tokens", tokens),
            ("tgi_request_input_length", prompt_tokens),
        ):
            self._histograms[name].observe(value)

    def succeeded(self, seconds: float) -> None:
        """A request was answered to its last byte."""
        self._successes += 1
        self._histograms["tgi_request_duration"].observe(seconds)

    def text(self, *, running: int, waiting: int) -> str:
        """Return everything in Prometheus's text format.

        running, waiting: requests in the batch and in the queue now.
        """
        lines = [
            "# TYPE tgi_queue_size gauge",
            f"tgi_queue_size {waiting}",
            "# TYPE tgi_batch_current_size gauge",
            f"tgi_batch_current_size {running}",
            "# TYPE tgi_request_count counter",
            f"tgi_request_count {self._requests}",
            "# TYPE tgi_request_success counter",
            f"tgi_request_success {self._successes}",
            "# TYPE tgi_request_failure counter",
            *(f'tgi_request_failure{{err="{e}"}} {n}' for e, n in sorted(self._failures.items())),
        ]
        for name, histogram in self._histograms.items():
            lines += histogram.lines(name)
        return "\n".join(lines) + "\n"
