"""Only what is public may be connected to, however it is written."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.tool import TryDifferently
from tools.web.addresses import Guard, is_public, look_up

PUBLIC = ["8.8.8.8", "93.184.215.14", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"]
PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "0.0.0.0"),
    *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.8", "192.0.0.9", "192.0.0.192"),
    *("198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "168.63.129.16"),
    *("224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("::ffff:0:7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "3fff::1", "5f00::1"),
    *("fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "2606:4700::1%1"),
]
# What nobody may reach from outside, from the registries of special addresses.
INSIDE = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
]
inside = st.sampled_from(INSIDE).flatmap(
    lambda network: st.integers(int(IPv4Network(network)[0]), int(IPv4Network(network)[-1])).map(
        IPv4Address
    )
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address: str) -> None:
    """What the internet is made of can be reached, also through a translation of its bytes."""
    assert is_public(address)


def test_a_translated_public_address_is_open() -> None:
    """Networks without IPv4 reach it as NAT64, and some systems write it as mapped."""
    assert is_public("64:ff9b::808:808")
    assert is_public("::ffff:8.8.8.8")


@pytest.mark.parametrize("address", [*PRIVATE, "", "localhost", "1.2.3", "8.8.8.8/32"])
def test_other_addresses_are_closed(address: str) -> None:
    """So is everything that is no address at all."""
    assert not is_public(address)


@given(inside)
def test_no_way_of_writing_opens_an_inside_address(address: IPv4Address) -> None:
    """Plain, compatible, mapped, translated, NAT64 and 6to4, it stays closed."""
    number = int(address)
    written = [
        str(address),
        str(IPv6Address(number)),
        str(IPv6Address((0xFFFF << 32) | number)),
        str(IPv6Address((0xFFFF << 48) | number)),
        str(IPv6Address(int(IPv6Address("64:ff9b::")) | number)),
        str(IPv6Address((0x2002 << 112) | (number << 80) | 1)),
    ]
    assert [one for one in written if is_public(one)] == []


@given(st.integers(0, 2**128 - 1).map(IPv6Address))
def test_open_ipv6_addresses_are_ones_that_are_handed_out(address: IPv6Address) -> None:
    """Nothing outside of 2000::/3 is open unless it stands for an open IPv4 address."""
    if is_public(str(address)) and address not in IPv6Network("2000::/3"):
        assert is_public(str(IPv4Address(int(address) & 0xFFFF_FFFF)))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_open_ipv4_addresses_are_global_by_the_library_too(address: IPv4Address) -> None:
    """Our rule only ever closes what `ipaddress` would open."""
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "localhost", "::1", "①②⑦.⓪.⓪.①"],
)
async def test_every_spelling_of_loopback_is_refused(host: str) -> None:
    """What counts is the address it resolves to."""
    with pytest.raises(TryDifferently):
        await Guard().addresses(host, 80)


@pytest.mark.parametrize("host", ["", "a" * 64 + ".example", "\udce4.example"])
async def test_a_host_that_is_none_is_told_to_the_model(host: str) -> None:
    """Names that cannot be names end in a sentence."""
    with pytest.raises(TryDifferently):
        await Guard().addresses(host, 80)


async def test_one_private_address_closes_a_name() -> None:
    """A name with a public and a private address is refused whole, and none of them is named."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "10.1.2.3"]

    with pytest.raises(TryDifferently) as refused:
        await Guard(resolve).addresses("two.example", 443)
    assert str(refused.value) == "The host 'two.example' is not on the public internet."


@pytest.mark.parametrize("port", [22, 25, 6379, 8080])
async def test_other_ports_are_refused_before_anything_is_looked_up(port: int) -> None:
    """Only the ports of the web are open to strangers' URLs."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        raise AssertionError("looked up")

    with pytest.raises(TryDifferently, match="Port"):
        await Guard(resolve).addresses("one.example", port)


async def test_the_resolver_returns_each_address_once() -> None:
    """The system's answer names an address once for each kind of socket."""
    assert await look_up("127.0.0.1", 80) == ["127.0.0.1"]
