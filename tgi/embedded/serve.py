"""Runs the embedded server on a socket, for a person or for a parent process."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
import threading

import orjson
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.errors import AddressRefused, OperatorError, PortInUse
from core.heap import settle

CLOSE = "parley.close"  # the ASGI extension of `Closable`


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free one.

    Raises PortInUse, AddressRefused for an address that others can reach (the server has
    no accounts), or OperatorError when the address cannot be used.
    """
    if host != "localhost" and not is_loopback(host):
        raise AddressRefused(
            "The embedded model server has no accounts, so it serves this machine only: "
            "use --host 127.0.0.1."
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named: 40 ms an answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere this would share the port with another server
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} is in use; choose another with --port.") from error
        raise OperatorError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    return bound


def address(bound: socket.socket) -> str:
    """Return the base URL of a listening socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, bound: socket.socket) -> None:
    """Serve until a signal ends it."""
    config = uvicorn.Config(
        app,
        http=Closable,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=75,  # longer than clients keep idle connections
        timeout_graceful_shutdown=5,
    )
    settle()
    uvicorn.Server(config).run(sockets=[bound])


class Closable(HttpToolsProtocol):
    """HTTP that lets an app close the connection in the middle of an answer, as ASGI cannot."""

    def on_message_begin(self) -> None:
        """Give the request a way to do so."""
        super().on_message_begin()
        self.scope["extensions"] = {CLOSE: {"close": self.transport.close}}


def announce(bound: socket.socket) -> None:
    """Tell the parent, in one line on stdout, where the server listens."""
    sys.stdout.buffer.write(orjson.dumps({"url": address(bound)}) + b"\n")
    sys.stdout.buffer.flush()


def end_with_parent(pipe: int) -> None:
    """End this process as soon as the pipe is closed, which a parent's death does too.

    pipe: the descriptor of our end; a file object's lock would trip the interpreter's exit.
    A thread, because the event loop may be busy; and no clean-up, because there is
    nothing to save and nobody left to answer.
    """

    def wait() -> None:
        while os.read(pipe, 1):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def is_loopback(host: str) -> bool:
    """Return whether an address is one of this machine that nobody else can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
