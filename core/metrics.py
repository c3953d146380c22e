"""What operators watch, in Prometheus' own client; handed over, so tests have a registry each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.turn import ModelCall

# Seconds: from a lookup in a cache to a slow model.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CHECK_BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5)


class Metrics:
    """The figures of one process. Labels are few and fixed: never a tenant, a user or a text."""

    def __init__(self) -> None:
        """Make every figure, at zero."""
        self.registry = CollectorRegistry()
        self.cache_lookups = Counter(
            "parley_cache_lookups",
            "Questions looked up in the answer cache.",
            ["result"],  # exact | semantic | miss
            registry=self.registry,
        )
        self.retrieval_seconds = Histogram(
            "parley_retrieval_seconds",
            "Time of the stages of retrieval; vector and keyword overlap.",
            ["stage"],  # embed | vector | keyword | rerank | fetch
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.jobs = Gauge(
            "parley_jobs",
            "Background jobs by state.",
            ["state"],  # todo | doing | failed
            registry=self.registry,
        )
        self.ingest_lag_seconds = Gauge(
            "parley_ingest_lag_seconds",
            "Age of the oldest document that waits to be ingested; 0 when none waits.",
            registry=self.registry,
        )
        self.model_calls = Counter(
            "parley_model_calls",
            "Questions to models, by how they ended.",
            ["model", "task", "outcome"],  # outcome: answered | cancelled | code of an error
            registry=self.registry,
        )
        self.answers = Counter(
            "parley_answers",
            "Answers of models, by the level they came from.",
            ["level"],  # full | fallback | degraded | cached | canned
            registry=self.registry,
        )
        self.breakers = Gauge(
            "parley_breaker_open",
            "1 for a model server that is left alone after failures.",
            ["model", "endpoint"],
            registry=self.registry,
        )
        self.answer_sentences = Counter(
            "parley_answer_sentences",
            "Sentences of answers, by what the check against their sources led to.",
            ["outcome"],  # supported | dropped | marked | kept
            registry=self.registry,
        )
        self.check_seconds = Histogram(
            "parley_check_seconds",
            "Time of the safety checks; those of one text overlap.",
            ["direction", "check"],
            buckets=CHECK_BUCKETS,
            registry=self.registry,
        )
        self.findings = Counter(
            "parley_findings",
            "What safety checks found in turns that have ended, by what became of it.",
            # input | document | tool_arguments | tool_result | output; warn | redact | block
            ["direction", "check", "action"],
            registry=self.registry,
        )
        self.model_tokens = Counter(
            "parley_model_tokens",
            "Tokens of turns that have ended, as the servers counted them.",
            ["model", "task", "kind"],  # prompt | completion
            registry=self.registry,
        )
        self.model_cost_usd = Counter(
            "parley_model_cost_usd",
            "What turns that have ended cost, by the prices of the model file.",
            ["model", "task"],
            registry=self.registry,
        )
        self.budgets_reached = Counter(
            "parley_budgets_reached",
            "Budgets that have reached a share of their limit.",
            ["scope", "per", "percent"],  # tenant | user | thread, day | month, 50 | 80 | 100
            registry=self.registry,
        )

    def spent(self, call: ModelCall) -> None:
        """Count what a question to a model took."""
        model, task = call["model"], call["task"]
        self.model_cost_usd.labels(model, task).inc(call["cost_usd"])
        if usage := call["usage"]:
            self.model_tokens.labels(model, task, "prompt").inc(usage["prompt_tokens"])
            self.model_tokens.labels(model, task, "completion").inc(usage["completion_tokens"])

    def found(self, findings: Iterable[Mapping[str, Any]]) -> None:
        """Count what the checks found in a turn."""
        for one in findings:
            self.findings.labels(one["direction"], one["check"], one["action"]).inc()

    def milliseconds(self) -> dict[str, float]:
        """Return the time that each stage of retrieval has taken in all."""
        [family] = self.retrieval_seconds.collect()
        return {
            sample.labels["stage"]: 1000 * sample.value
            for sample in family.samples
            if sample.name.endswith("_sum")
        }
