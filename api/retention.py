"""Forgets what was kept only for a time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.cancel import beside
from core.errors import OperatorError
from db import turns
from db.pool import Database
from safety.policy import Policies

EVERY_SECONDS = 6 * 3600.0
log = logging.getLogger(__name__)


@asynccontextmanager
async def forgetting(database: Database, policies: Policies) -> AsyncIterator[None]:
    """Forget findings whose time is over, now and then, as long as this is entered."""
    async with beside(_forever(database, policies)):
        yield


async def forget(database: Database, policies: Policies) -> int:
    """Forget the findings that are older than each tenant's policy keeps them; return in how
    many turns. Raises DatabaseUnavailable.
    """
    own = {name: policy.retention_days for name, policy in policies.tenants.items()}
    return await turns.forget(database, general_days=policies.general.retention_days, own_days=own)


async def _forever(database: Database, policies: Policies) -> None:
    while True:
        try:
            if count := await forget(database, policies):
                log.info("findings of %d turns were forgotten", count)
        except OperatorError as error:
            log.warning("findings could not be forgotten: %s", error.code)
        await asyncio.sleep(EVERY_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
