"""GET /metrics: what operators watch, in Prometheus' text format."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import asdict

import psycopg
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.build import Services
from api.state import ServicesDep
from core.errors import OperatorError
from knowledge import jobs

QUEUE_TIMEOUT_SECONDS = 1.0  # a scrape must not wait for a database that is down
log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {
                    "example": 'parley_jobs{state="todo"} 12.0\nparley_ingest_lag_seconds 3.4\n'
                }
            }
        }
    },
)
async def metrics(services: ServicesDep) -> Response:
    """Return the figures of this process, for Prometheus.

    Jobs and lag are those of the database, the same in every process, asked for at this moment;
    they are NaN when it does not answer within a second.
    """
    await look(services)
    for model, endpoint, is_open in services.models.breakers():
        services.metrics.breakers.labels(model, endpoint).set(is_open)
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def look(services: Services) -> None:
    """Bring the figures of the job queue up to date; never raises."""
    figures: dict[str, float] = {}
    try:
        async with asyncio.timeout(QUEUE_TIMEOUT_SECONDS), services.database.connection() as conn:
            figures = asdict(await jobs.figures(conn))
    except (TimeoutError, OperatorError, psycopg.Error) as error:
        log.warning("the queue could not be counted", extra={"why": type(error).__name__})
    for state in ("todo", "doing", "failed"):
        services.metrics.jobs.labels(state).set(figures.get(state, math.nan))
    services.metrics.ingest_lag_seconds.set(figures.get("lag_seconds", math.nan))
