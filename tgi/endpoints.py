"""Several servers of one model, as one: the least busy is asked, one that fails is left alone.

A request is tried again only before its first token, and only while most requests succeed:
retries of everybody at once would finish off a server that is merely slow.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

from core.breaker import Breaker
from core.errors import (
    AdapterMissing,
    ModelError,
    ModelOverloaded,
    ModelTimeout,
    ModelUnavailable,
    StreamCut,
)
from tgi.client import DONE, Client
from tgi.failures import from_event

T = TypeVar("T")
Frames = list[dict[str, Any]]
ATTEMPTS = 3  # of one request, or one for each server where there are more
WAIT_SECONDS = 0.1  # at most, before a server is asked again; twice that the next time
BROKEN = (ModelUnavailable, ModelTimeout, StreamCut, AdapterMissing)
PASSING = (*BROKEN, ModelOverloaded)  # overload passes too, but it is a sign of life


class RetryBudget:
    """Allows retries as a share of the requests, and a few at once.

    Source: the retry budgets of Finagle.
    """

    def __init__(self, *, share: float = 0.2, most: float = 10.0) -> None:
        self._share = share
        self._most = most
        self._left = most

    def earn(self) -> None:
        """Hear of a new request."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Return whether there may be one more retry."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Endpoint:
    """One server: its client, how many requests it works on, and whether it is left alone."""

    def __init__(
        self,
        name: str,
        client: Client,
        breaker: Breaker,
        check: Callable[[Client], Awaitable[None]] | None = None,
    ) -> None:
        """name: what logs and metrics call it.

        check: raises ModelError when it is not fit to be asked; once, and again after failures,
        because another server may stand there then.
        """
        self.name = name
        self.client = client
        self.breaker = breaker
        self.busy = 0
        self._check = check
        self._checked = False
        self._checking = asyncio.Lock()

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Client]:
        """Give the client for one request, and hear how it ended.

        A request that nobody waits for any more says nothing about the server.
        """
        self.busy += 1
        try:
            if not self._checked:
                await self._fit()
            yield self.client
            self.breaker.note(failed=False)
        except ModelError as error:
            broken = isinstance(error, BROKEN)
            self.breaker.note(failed=broken)
            if broken:
                self._checked = False
            raise
        finally:
            self.busy -= 1

    async def _fit(self) -> None:
        """Check it, once for all who wait."""
        async with self._checking:
            if self._check is not None and not self._checked:
                await self._check(self.client)
            self._checked = True


class Endpoints:
    """The servers of one model, behind the interface of one client.

    Raises what `Client` raises; ModelUnavailable at once while all of them are left alone.
    """

    def __init__(self, endpoints: Sequence[Endpoint], budget: RetryBudget | None = None) -> None:
        self.all = tuple(endpoints)
        self._budget = budget or RetryBudget()

    @property
    def healthy(self) -> bool:
        """Return whether at least one of them may be asked now."""
        return any(not one.breaker.rests for one in self.all)

    async def get(self, path: str) -> Any:
        """Return the JSON at a path of one of the servers, or None where there is none."""
        return await self._likely().get(path)

    async def post(self, path: str, payload: dict[str, Any], *, seconds: float) -> Any:
        """Return the JSON that one of the servers answers to a payload, or None as above."""
        return await self._likely().post(path, payload, seconds=seconds)

    async def ask(self, payload: dict[str, Any]) -> Any:
        """Return a whole chat completion."""

        async def once(endpoint: Endpoint) -> Any:
            async with endpoint.asked() as client:
                return await client.ask(payload)

        return await self._retried(once)

    async def stream(self, payload: dict[str, Any]) -> AsyncGenerator[Frames]:
        """Yield the frames of a chat stream, as `Client.stream` does."""
        first, rest = await self._retried(lambda endpoint: _begin(endpoint, payload))
        async with aclosing(rest):
            yield first
            async for frames in rest:
                yield frames

    async def _retried(self, once: Callable[[Endpoint], Awaitable[T]]) -> T:
        self._budget.earn()
        tried: list[Endpoint] = []
        while True:
            endpoint = await self._choose(tried)
            try:
                return await once(endpoint)
            except PASSING:
                tried.append(endpoint)
                spent = len(tried) >= max(ATTEMPTS, len(self.all))
                if spent or not self.healthy or not self._budget.spend():
                    raise
            if all(one in tried or one.breaker.is_open for one in self.all):
                # Anywhere in this time, or those who failed together would come back together.
                most = WAIT_SECONDS * 2 ** (len(tried) - 1)
                await asyncio.sleep(random.uniform(0, most))  # noqa: S311  # no secret

    async def _choose(self, tried: Sequence[Endpoint]) -> Endpoint:
        """Return the server to ask; raises ModelUnavailable when all are left alone.

        One that has rested long enough is asked for its health first, which costs no user a turn.
        """
        for one in self.all:
            if one.breaker.is_open and one.breaker.allows():
                if await one.client.is_alive():
                    return one
                one.breaker.note(failed=True)
        closed = [one for one in self.all if not one.breaker.is_open]
        if not closed:
            raise ModelUnavailable("The model server failed repeatedly and is left alone a while.")
        return min(
            closed,
            key=lambda one: (tried.count(one), one.busy, random.random()),  # noqa: S311  # no secret
        )

    def _likely(self) -> Client:
        """Return the client of the server that is most likely to answer at once."""
        return min(self.all, key=lambda one: (one.breaker.is_open, one.busy)).client


async def _begin(
    endpoint: Endpoint, payload: dict[str, Any]
) -> tuple[Frames, AsyncGenerator[Frames]]:
    """Return the frames up to the first token, and the rest of the stream."""
    frames = _heard(endpoint, payload)
    held: Frames = []
    async for more in frames:
        held += more
        if any(map(_is_token, more)):
            break
    return held, frames


async def _heard(endpoint: Endpoint, payload: dict[str, Any]) -> AsyncGenerator[Frames]:
    """Yield the frames of one server; what it reports in them, and a missing end, are raised."""
    async with endpoint.asked() as client, aclosing(client.stream(payload)) as frames:
        ended = False
        async for more in frames:
            for frame in more:
                if "error" in frame:
                    raise from_event(frame)
                ended = ended or frame is DONE or bool(frame.get("usage"))
            yield more
        if not ended:
            raise StreamCut


def _is_token(frame: dict[str, Any]) -> bool:
    """Return whether a frame says something; the first one of some servers only names the role."""
    for choice in frame.get("choices") or ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if isinstance(delta, dict) and (delta.get("content") or delta.get("tool_calls")):
            return True
    return False
