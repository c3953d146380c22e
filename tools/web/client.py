"""Reads pages of the public web: pinned addresses, redirects checked anew, everything capped.

Nothing of ours goes along: no cookies, no credentials, no proxy or `.netrc` of the environment.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from core.errors import RemoteUnavailable
from tools.tool import TryDifferently
from tools.web import body
from tools.web.addresses import Guard

SECONDS = 5.0  # for everything: names, redirects, body
CONNECT_SECONDS = 2.0  # to one address; the next one has its chance then
MOST_REDIRECTS = 3
MOST_URL_CHARACTERS = 2048
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DEFAULT_PORTS = {"http": 80, "https": 443}
AGENT = "Parley/0.1 (fetches single pages on behalf of a person)"


@dataclass(frozen=True, slots=True)
class Page:
    """What a URL led to."""

    url: str  # the last one, after redirects
    media_type: str
    charset: str  # as declared; "" for none
    body: bytes


class PinnedTransport(httpx.AsyncBaseTransport):
    """Connects to the addresses that the guard gives, and asks for the host by its name.

    The name is resolved once: between check and connection it cannot come to mean another address.
    No connection is kept, for one to an address may not serve another name there.
    """

    def __init__(self, guard: Guard, context: ssl.SSLContext | None = None) -> None:
        """context: whom to trust with TLS; the usual authorities by default."""
        self._guard = guard
        self._inner = httpx.AsyncHTTPTransport(
            verify=context or True,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer of the first address that takes the connection."""
        host = request.url.raw_host.decode("ascii")
        port = request.url.port or DEFAULT_PORTS[request.url.scheme]
        failure: Exception | None = None
        for address in await self._guard.addresses(host, port):
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # the name is in `Host`
                stream=request.stream,
                extensions=request.extensions | {"sni_hostname": host},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # the guard gives at least one address
        raise failure

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


class WebClient:
    """GETs pages; an answer is whole and of an allowed type, or an error."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        """transport: a `PinnedTransport`, which is where addresses are checked."""
        self._transport = transport

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, guard: Guard | None = None, context: ssl.SSLContext | None = None
    ) -> AsyncIterator[WebClient]:
        """Yield a client that is closed afterwards."""
        async with PinnedTransport(guard or Guard(), context) as transport:
            yield cls(transport)

    async def get(self, url: str, *, media_types: frozenset[str], seconds: float = SECONDS) -> Page:
        """Return the page at a URL.

        media_types: which may come back; anything else is not read.
        Raises TryDifferently for what may not be asked for or was not found, RemoteUnavailable
        when the server does not answer well or in time.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(_allowed(url), media_types)
        except TimeoutError as error:
            raise RemoteUnavailable(f"The page took more than {seconds:g} s.") from error
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise RemoteUnavailable(f"The server did not answer ({kind}).") from error

    async def _follow(self, url: httpx.URL, media_types: frozenset[str]) -> Page:
        accept = ", ".join(sorted(media_types))
        for _ in range(MOST_REDIRECTS + 1):
            headers = {
                "Accept": accept,
                "Accept-Encoding": body.ACCEPT_ENCODING,
                "User-Agent": AGENT,
                "Connection": "close",
            }
            wait = httpx.Timeout(SECONDS, connect=CONNECT_SECONDS).as_dict()
            request = httpx.Request("GET", url, headers=headers, extensions={"timeout": wait})
            response = await self._transport.handle_async_request(request)
            try:
                if response.status_code not in REDIRECTS:
                    return await _page(url, response, media_types)
                url = _allowed(_location(url, response))
            finally:
                await response.aclose()
        raise TryDifferently(f"The page redirects more than {MOST_REDIRECTS} times.")


def _allowed(url: str) -> httpx.URL:
    """Return a URL that may be asked for, without its fragment."""
    if len(url) > MOST_URL_CHARACTERS:
        raise TryDifferently(f"The URL is longer than {MOST_URL_CHARACTERS} characters.")
    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise TryDifferently("That is not a URL.") from error
    if parsed.scheme not in DEFAULT_PORTS:
        raise TryDifferently("Only URLs that begin with http:// or https:// can be fetched.")
    if not parsed.raw_host:
        raise TryDifferently("The URL names no host.")
    if parsed.userinfo:
        raise TryDifferently("The URL may not hold a user or a password.")
    return parsed.copy_with(fragment=None)


def _location(url: httpx.URL, response: httpx.Response) -> str:
    try:
        return str(url.join(response.headers["location"]))
    except (KeyError, httpx.InvalidURL, ValueError) as error:
        raise RemoteUnavailable("The page redirects to nowhere.") from error


async def _page(url: httpx.URL, response: httpx.Response, media_types: frozenset[str]) -> Page:
    status = response.status_code
    if status >= 500 or status == 429:
        raise RemoteUnavailable(f"The server answered with status {status}.")
    if status != 200:
        raise TryDifferently(f"There is no page to read: the server answered with {status}.")
    kind, charset = body.media_type(response.headers)
    if kind not in media_types:
        raise TryDifferently(
            f"What is there cannot be read: its type is {kind[:80] or 'not said'}."
        )
    return Page(str(url), kind, charset, await body.read(response))
