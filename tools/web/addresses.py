"""Which addresses a stranger's URL may lead to: those that everybody on the internet can reach.

Names are never judged, only what they resolve to: "2130706433", "0x7f.1", "127.1" and circled
digits all resolve to 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from core.errors import RemoteUnavailable
from tools.tool import TryDifferently

PORTS = frozenset({80, 443})
MOST_TRIED = 4  # addresses of one name

# What `ipaddress` calls global, or did in a release that we support, and is not for us.
CLOSED_V4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; one cloud keeps its metadata here
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # a cloud's host, reachable from its machines alone
)
OPEN_V6 = IPv6Network("2000::/3")  # the only part that is handed out
CLOSED_V6 = (
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("3fff::/20"),  # documentation, since 2024
)
NAT64 = IPv6Network("64:ff9b::/96")  # the last four bytes are an IPv4 address

# From host and port to the addresses they resolve to.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


def is_public(address: str) -> bool:
    """Return whether everybody may connect to an address; False for what is none."""
    try:
        return _is_open(ip_address(address))
    except ValueError:
        return False


async def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host; raises TryDifferently when there is none of that name."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise RemoteUnavailable("Names of hosts cannot be looked up now.") from error
        raise TryDifferently(f"There is no host {host[:100]!r}.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Guard:
    """Says where to connect to. Tests give a rule of their own; no setting does."""

    resolve: Resolve = look_up
    allows: Callable[[str], bool] = is_public
    ports: frozenset[int] = PORTS

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to, and to no other; resolves the name once.

        Raises TryDifferently when the port or one of the addresses is not for strangers' URLs:
        a name with a public and a private address is an attack or a mistake.
        """
        if port not in self.ports:
            allowed = " and ".join(map(str, sorted(self.ports)))
            raise TryDifferently(f"Port {port} is not allowed; only {allowed} are.")
        found = await self.resolve(host, port)
        if not found or not all(self.allows(address) for address in found):
            # Which address it was would draw a map of the network for whoever asks.
            raise TryDifferently(f"The host {host[:100]!r} is not on the public internet.")
        return found[:MOST_TRIED]


def _is_open(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        special = address.is_multicast or address.is_reserved or not address.is_global
        return not special and not any(address in closed for closed in CLOSED_V4)
    if address.scope_id is not None:
        return False
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return _is_open(inner)
    special = address.is_multicast or address.is_reserved or not address.is_global
    closed = any(address in network for network in CLOSED_V6)
    return address in OPEN_V6 and not special and not closed
