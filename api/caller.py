"""Who is asking: the holder of an API key; without keys, whoever reaches the port.

One layer asks that of every request under /v1, whatever its route, so that no route can forget it.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import answer
from api.keys import NAME, Keys
from core.errors import InvalidInput, NotAuthenticated, NotPermitted, ParleyError
from tools.reviews import REVIEWER
from tools.tool import Caller

__all__ = ["LOCAL", "Caller", "CallerDep", "Identify", "caller_of", "identify"]

PROTECTED = "/v1"
USER_HEADER = "Parley-User"
# Without keys one person plays all parts, so the name only tells them apart.
LOCAL = Caller("default", "local", roles=frozenset({"user", REVIEWER}))


class Identify:
    """Finds out who asks for what is under /v1, or answers that nobody may."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] == "http" and (path == PROTECTED or path.startswith(f"{PROTECTED}/")):
            state = scope["state"]
            try:
                state["caller"] = await identify(state["services"].keys, Headers(scope=scope))
            except ParleyError as error:
                await answer(path, state.get("request_id"), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def identify(keys: Keys | None, headers: Headers) -> Caller:
    """Return who asks.

    Raises NotAuthenticated without a key that is listed, InvalidInput for a name that is none,
    NotPermitted for another's name, and SettingsInvalid while the keys cannot be read.
    """
    name = headers.get(USER_HEADER)
    if name is not None and not re.fullmatch(NAME, name):
        raise InvalidInput(
            f"{USER_HEADER} has 1 to 64 letters, digits or characters of _.@-.", param=USER_HEADER
        )
    if keys is None:
        return LOCAL if name is None else Caller(LOCAL.tenant_id, name, roles=LOCAL.roles)
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise NotAuthenticated
    caller = await keys.holder(key.strip())
    if name not in (None, caller.user_id):
        raise NotPermitted(f"The key says who you are; {USER_HEADER} cannot say otherwise.")
    return caller


async def caller_of(
    request: Request,
    _: Annotated[
        HTTPAuthorizationCredentials | None,
        Security(HTTPBearer(auto_error=False, description="An API key, where the server has any.")),
    ],
) -> Caller:
    """Return who asks, as it was found out before the route was chosen."""
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Security(caller_of)]
