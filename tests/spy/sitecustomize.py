"""Imported by Python at start: refuses and records every address that is not this machine's.

Audit hooks see what Python's own socket module does, in every thread, and cannot be removed.
What C libraries do by themselves (libpq, uvloop) is seen by the network namespace of tests.offline.
"""

from __future__ import annotations

import ipaddress
import json
import os
import sys
from typing import Any

ADDRESSED = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind"}
NAMED = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
# Named so that processes whose environment is cleaned (knowledge.load.reader) still get it.
LOG = os.environ.get("PYTHONSPYLOG", "")


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Record and refuse a look-up or a connection that would leave the machine."""
    if event in ADDRESSED:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) and address else None
    elif event in NAMED:
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if isinstance(host, str) and host and not stays_here(host):
        write({"event": event, "host": host, "process": process()})
        raise ConnectionRefusedError(f"{event} {host}: this machine is not left")


def stays_here(host: str) -> bool:
    """Return whether a name or an address means this machine, whatever a resolver says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def process() -> str:
    """Return the command line of this process without the interpreter's path."""
    return " ".join(sys.orig_argv[1:])


def write(record: dict[str, str]) -> None:
    """Append a line to the log; lines of several processes do not mix."""
    line = json.dumps(record).encode() + b"\n"
    descriptor = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


if LOG:
    write({"started": process()})
    sys.addaudithook(watch)
