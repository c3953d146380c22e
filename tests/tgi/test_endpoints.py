"""Several servers as one: who is asked, what is tried again, who is left alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from core.breaker import FAILURES, Breaker
from core.errors import (
    AdapterMissing,
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelUnavailable,
    StreamCut,
)
from tests.tgi.faulty import Behaviour, Exchange, faulty
from tgi.client import Client, Timeouts, pool
from tgi.endpoints import ATTEMPTS, Endpoint, Endpoints, RetryBudget

REST = 60.0
OVERLOADED = b'{"error":"Model is overloaded","error_type":"overloaded"}'


Check: TypeAlias = Callable[[Client], Awaitable[None]]


class Clock:
    """A clock that tests set forward."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Scripted:
    """A server that behaves as it is told, request by request; the last way is kept."""

    def __init__(self, *ways: Behaviour) -> None:
        self.ways = list(ways)
        self.asked = 0

    async def __call__(self, exchange: Exchange) -> None:
        """Behave."""
        if exchange.body is None:  # asked for its health
            await exchange.answer(200, b"")
            return
        self.asked += 1
        way = self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]
        await way(exchange)


async def well(exchange: Exchange) -> None:
    """Answer "Hi"."""
    await exchange.begin()
    await exchange.token("")  # the first frame of some servers names the role alone
    await exchange.token("Hi", "stop")
    await exchange.data(b"data: [DONE]\n\n")
    await exchange.end()


async def overloaded(exchange: Exchange) -> None:
    """Refuse at once."""
    await exchange.answer(429, OVERLOADED)


async def broken(exchange: Exchange) -> None:
    """Fail before the first token."""
    await exchange.answer(500, b"oops")


async def rejecting(exchange: Exchange) -> None:
    """Say that the request is wrong."""
    await exchange.answer(422, b'{"error":"too long","error_type":"validation"}')


async def silent(exchange: Exchange) -> None:
    """Begin a stream and end it without a word."""
    await exchange.begin()
    await exchange.token("")
    await exchange.end()


async def cut(exchange: Exchange) -> None:
    """Say one word, then break off."""
    await exchange.begin()
    await exchange.token("Hi")
    await exchange.end()


async def says_overload(exchange: Exchange) -> None:
    """Report the overload inside the stream, as TGI does."""
    await exchange.begin()
    await exchange.token("")
    error = {"message": "Model is overloaded", "http_status_code": 422}
    await exchange.event({"error": error})
    await exchange.end()


@asynccontextmanager
async def group(
    *servers: Behaviour,
    clock: Callable[[], float] = time.monotonic,
    budget: RetryBudget | None = None,
    check_of: Callable[[str], Check | None] = lambda _: None,
) -> AsyncIterator[Endpoints]:
    """Serve with these servers as one."""
    timeouts = Timeouts(connect=1.0, first_token=5.0)
    async with AsyncExitStack() as stack:
        made = []
        for number, server in enumerate(servers):
            url = await stack.enter_async_context(faulty(server))
            http = await stack.enter_async_context(pool(url, timeouts))
            client = Client(http, url, api_key=None, timeouts=timeouts)
            breaker = Breaker(rest_seconds=REST, clock=clock)
            made.append(Endpoint(str(number), client, breaker, check_of(str(number))))
        yield Endpoints(made, budget)


async def said(endpoints: Endpoints) -> str:
    text = ""
    async with aclosing(endpoints.stream({})) as batches:
        async for frames in batches:
            for frame in frames:
                for choice in frame.get("choices", ()):
                    text += choice["delta"]["content"]
    return text


@pytest.mark.parametrize("way", [overloaded, broken, silent, says_overload])
async def test_what_passes_is_tried_again_before_the_first_token(way: Behaviour) -> None:
    """The user notices nothing, and no word comes twice."""
    server = Scripted(way, well)
    async with group(server) as endpoints:
        assert await said(endpoints) == "Hi"
    assert server.asked == 2


async def test_what_does_not_pass_is_not_tried_again() -> None:
    """A request that is wrong stays wrong."""
    server = Scripted(rejecting)
    async with group(server) as endpoints:
        with pytest.raises(ModelRejected):
            await said(endpoints)
    assert server.asked == 1


async def test_nothing_is_tried_again_after_the_first_token() -> None:
    """Half an answer is an error, not two halves."""
    server = Scripted(cut, well)
    async with group(server) as endpoints:
        with pytest.raises(StreamCut):
            await said(endpoints)
    assert server.asked == 1


async def test_attempts_are_bounded() -> None:
    """A server that stays overloaded is asked three times, and its last word counts."""
    server = Scripted(overloaded)
    async with group(server) as endpoints:
        with pytest.raises(ModelOverloaded):
            await said(endpoints)
    assert server.asked == ATTEMPTS


async def test_retries_are_a_share_of_the_requests() -> None:
    """When everything fails, the server is not asked three times as often as usual."""
    server = Scripted(overloaded)
    async with group(server, budget=RetryBudget(share=0.2, most=10)) as endpoints:
        for _ in range(40):
            with pytest.raises(ModelOverloaded):
                await said(endpoints)
    retries = server.asked - 40
    assert retries <= 10 + 0.2 * 40


async def test_another_server_is_asked_instead() -> None:
    """Each is asked once before one is asked twice."""
    first, second = Scripted(broken), Scripted(broken)
    third = Scripted(well)
    async with group(first, second, third) as endpoints:
        for _ in range(4):
            assert await said(endpoints) == "Hi"
    assert first.asked <= 4
    assert second.asked <= 4


async def test_the_least_busy_is_asked() -> None:
    """While one works on a long answer, the others get what comes."""
    release = asyncio.Event()

    async def long(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Hi")
        await release.wait()
        await exchange.token("", "stop")
        await exchange.data(b"data: [DONE]\n\n")
        await exchange.end()

    servers = Scripted(long), Scripted(long)
    async with group(*servers) as endpoints:
        async with aclosing(endpoints.stream({})) as one, aclosing(endpoints.stream({})) as two:
            await anext(one)
            await anext(two)
            assert [endpoint.busy for endpoint in endpoints.all] == [1, 1]
            release.set()
            async for _ in one:
                pass
            async for _ in two:
                pass
        assert [endpoint.busy for endpoint in endpoints.all] == [0, 0]
    assert [server.asked for server in servers] == [1, 1]


async def test_a_server_that_fails_is_left_alone_and_comes_back() -> None:
    """Within five failures it is; after its rest one request tries it, and closes the breaker."""
    clock = Clock()
    server = Scripted(broken)
    async with group(server, clock=clock) as endpoints:
        while endpoints.healthy:
            with pytest.raises(ModelUnavailable):
                await said(endpoints)
        assert server.asked == FAILURES
        with pytest.raises(ModelUnavailable, match="left alone"):
            await said(endpoints)
        assert server.asked == FAILURES
        clock.now = REST + 1
        with pytest.raises(ModelUnavailable):
            await said(endpoints)
        assert server.asked == FAILURES + 1  # still broken: the rest begins anew
        server.ways = [well]
        clock.now += REST + 1
        assert await said(endpoints) == "Hi"
        assert endpoints.healthy
        assert not endpoints.all[0].breaker.is_open


async def test_a_server_that_is_not_well_gets_no_request() -> None:
    """After its rest it is asked for its health first, so no turn waits for it."""
    clock = Clock()
    ill = Scripted(broken)

    async def behave(exchange: Exchange) -> None:
        if exchange.body is None:
            await exchange.answer(503, b"")
        else:
            await ill(exchange)

    async with group(behave, Scripted(well), clock=clock) as endpoints:
        for _ in range(FAILURES):
            endpoints.all[0].breaker.note(failed=True)
        clock.now = REST + 1
        assert await said(endpoints) == "Hi"
    assert ill.asked == 0


@pytest.mark.parametrize("way", [overloaded, rejecting])
async def test_a_server_that_answers_is_not_left_alone(way: Behaviour) -> None:
    """Overload and refusals are signs of life."""
    async with group(Scripted(way)) as endpoints:
        for _ in range(2 * FAILURES):
            with pytest.raises(ModelError):
                await said(endpoints)
        assert endpoints.healthy


async def test_a_stream_that_is_cut_counts_as_a_failure() -> None:
    """Also when it had said something, and when half the answers do."""
    async with group(Scripted(cut)) as endpoints:
        for _ in range(FAILURES):
            assert endpoints.healthy
            with pytest.raises(StreamCut):
                await said(endpoints)
        assert not endpoints.healthy


async def test_a_client_that_leaves_says_nothing_about_the_server() -> None:
    """Closing a stream neither counts as a failure nor keeps the server busy."""

    async def endless(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Hi")
        await exchange.gone()

    async with group(endless) as endpoints:
        for _ in range(2 * FAILURES):
            async with aclosing(endpoints.stream({})) as batches:
                await anext(batches)
        assert endpoints.healthy
        assert endpoints.all[0].busy == 0


async def test_a_server_is_checked_before_it_is_asked() -> None:
    """Once, by whoever comes first; again after a failure, because another may stand there then."""
    checks: list[str] = []
    fit = {"0": False, "1": True}
    first, second = Scripted(well), Scripted(well)

    def check_of(name: str) -> Check:
        async def check(_: Client) -> None:
            checks.append(name)
            if not fit[name]:
                raise AdapterMissing

        return check

    async with group(first, second, check_of=check_of) as endpoints:
        for _ in range(FAILURES):
            await asyncio.gather(*(said(endpoints) for _ in range(2)))
        assert first.asked == 0
        assert checks.count("1") == 1
        assert endpoints.all[0].breaker.is_open
        second.ways = [broken, well]
        assert await said(endpoints) == "Hi"
        assert checks.count("1") == 2


async def test_whole_answers_are_tried_again_too() -> None:
    """An answer that is not streamed has no first token before its end."""

    async def whole(exchange: Exchange) -> None:
        await exchange.answer(200, b'{"choices":[]}')

    server: Any = Scripted(broken, overloaded, whole)
    async with group(server) as endpoints:
        assert await endpoints.ask({}) == {"choices": []}
    assert server.asked == 3
