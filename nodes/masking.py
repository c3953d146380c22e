"""Personal data in what goes to models, as the tenant's policy wants it."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from db import placeholders
from nodes.context import Context
from safety.masking import OPEN, Masks


async def towards(
    name: str | None, context: Context, known: Mapping[str, str] | None = None
) -> Masks:
    """Return what masks a prompt for a model; OPEN where the policy lets it read everything.

    name: of the model; None: any that there is. known: the placeholders of the conversation, where
    they were read before. Raises DatabaseUnavailable.
    """
    guard, models = context.services.guard, context.services.models.catalog.models
    specs = models.values() if name is None else filter(None, [models.get(name)])
    hosted = any(spec.provider is not None for spec in specs)
    if not guard.policies.of(context.tenant_id).masks(hosted=hosted):
        return OPEN
    if known is None:
        thread_id = UUID(context.thread_id)
        known = await placeholders.known(context.services.database, context.tenant_id, thread_id)
    return guard.masks(context.about(), known)
