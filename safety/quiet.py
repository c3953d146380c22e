"""guardrails-ai without its telemetry.

Version 0.11 sends a span about every guard, validator and call to its vendor unless the
file ~/.guardrailsrc says no, and it reads that file again whenever a guard is built: its
settings object and `allow_metrics_collection=False` are both undone by the next guard.
So the reading itself is replaced, and the singleton that would own the exporter is put
in place without one: even switched on again it could send nothing.
"""

from __future__ import annotations

import logging
import warnings


def silence() -> None:
    """Import guardrails with its telemetry, its tracing and its logging to the root logger off.

    Takes seconds; call it once, from a thread, before anything else imports guardrails.
    """
    with warnings.catch_warnings():
        # guardrails' command line is built at import, on parts of click that are leaving.
        warnings.simplefilter("ignore", DeprecationWarning)
        from guardrails.classes.rc import RC  # type: ignore[import-untyped]
        from guardrails.settings import settings  # type: ignore[import-untyped]
        from guardrails.utils import hub_telemetry_utils  # type: ignore[import-untyped]

    def load(logger: logging.Logger | None = None) -> RC:
        return RC(enable_metrics=False, use_remote_inferencing=False)

    RC.load = load
    settings.rc = load()
    settings.disable_tracing = True
    # Its `logging.debug(...)` would give the root logger a handler that nobody asked for.
    hub_telemetry_utils.logging = logging.getLogger("guardrails")
    telemetry = hub_telemetry_utils.HubTelemetry
    telemetry._instance = object.__new__(telemetry)
