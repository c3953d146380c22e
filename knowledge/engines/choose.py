"""The vector index that the settings ask for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import VectorEngineUnavailable
from core.settings import KnowledgeSettings
from db.pool import Database
from knowledge.engines.base import VectorEngine, VectorIndex
from knowledge.engines.mirrored import Mirrored
from knowledge.engines.postgres import PostgresIndex
from knowledge.engines.qdrant import Qdrant
from knowledge.engines.sync import sync

_log = logging.getLogger(__name__)


@asynccontextmanager
async def vector_engine(settings: KnowledgeSettings) -> AsyncIterator[VectorEngine | None]:
    """Give the engine beside Postgres, or None; raises SettingsInvalid without its package."""
    if settings.qdrant_url is None:
        yield None
        return
    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    async with Qdrant.open(settings.qdrant_url, api_key=key) as engine:
        yield engine


@asynccontextmanager
async def vector_index(settings: KnowledgeSettings) -> AsyncIterator[VectorIndex]:
    """Give what search uses: the engine with Postgres behind it, or Postgres alone."""
    async with vector_engine(settings) as engine:
        postgres = PostgresIndex()
        yield postgres if engine is None else Mirrored(engine, otherwise=postgres)


async def tell(database: Database, settings: KnowledgeSettings, *, tenant_id: str) -> None:
    """Tell the engine of the settings what changed, if there is one; for the end of ingestions.

    An engine that does not answer is told the next time: nothing of the ingestion depends on it.
    """
    try:
        async with vector_engine(settings) as engine:
            if engine is not None:
                await sync(database, engine, tenant_id=tenant_id)
    except VectorEngineUnavailable as error:
        _log.warning("changes wait for `python -m knowledge sync`: %s", error)
