"""Who is asking. Until there are accounts, everybody at this machine is the same person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends


@dataclass(frozen=True, slots=True)
class Caller:
    """The tenant and the user on whose behalf a request is served."""

    tenant_id: str
    user_id: str


async def identify() -> Caller:
    """Return the one caller there is."""
    return Caller(tenant_id="default", user_id="local")


CallerDep = Annotated[Caller, Depends(identify)]
