"""The listening socket, opened before anything else is started."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket

from core.errors import AddressRefused, PortInUse

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on a loopback address; port 0 picks a free one.

    It listens at once, so that of two processes that start together only one goes on; who
    connects early waits until the application is up.
    Raises AddressRefused for an address that others can reach, and PortInUse.
    """
    address = loopback(host)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere this would share the port with another server
            # A port whose last server was killed is free again at once, not after a minute.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} is in use; set API_PORT to a free one.") from error
        if error.errno == errno.EACCES:
            raise PortInUse(
                f"Port {port} is reserved for the administrator; set API_PORT to a free one."
            ) from error
        raise AddressRefused(f"{host} is no address of this machine.") from error
    return listener


def loopback(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the loopback address that `host` stands for; raises AddressRefused."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError as error:
        raise AddressRefused from error
    if not address.is_loopback:
        raise AddressRefused
    return address


def url_of(listener: socket.socket) -> str:
    """Return the address under which a browser finds the socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
