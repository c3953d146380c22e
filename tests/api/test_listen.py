"""The listening socket comes first."""

from __future__ import annotations

import contextlib
import socket

import pytest

from api.listen import listen, url_of
from core.errors import AddressRefused, PortInUse


def test_port_0_picks_a_free_port() -> None:
    """The address names the port that was picked."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert url_of(listener) == f"http://127.0.0.1:{port}"


def test_a_port_in_use_is_named() -> None:
    """The error says which port, and how to choose another."""
    with contextlib.closing(listen("localhost", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"Port {port} is in use; set API_PORT"):
            listen("127.0.0.1", port)


def test_a_port_whose_server_ended_is_free_at_once() -> None:
    """A connection that lingers after its server does not hold the port."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.setblocking(True)
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            accepted.close()
    listen("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "8.8.8.8", "example.com", ""])
def test_addresses_that_others_reach_are_refused(host: str) -> None:
    """Without accounts only this machine is served, and names are not looked up."""
    with pytest.raises(AddressRefused):
        listen(host, 0)


def test_ipv6_loopback_is_served_where_there_is_one() -> None:
    """::1 has brackets in its address."""
    try:
        listener = listen("::1", 0)
    except AddressRefused:
        pytest.skip("this machine has no IPv6 loopback")
    with contextlib.closing(listener):
        assert url_of(listener).startswith("http://[::1]:")
