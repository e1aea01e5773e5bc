"""What may be dialled."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

import pytest

from mts_dialler.allowlist import MAX_ADDRESSES, AllowList
from mts_dialler.errors import AddressForbidden, NameNotResolved

SECONDS = 5.0


def listing(*networks: str, names: Mapping[str, Sequence[str]] | None = None) -> AllowList:
    async def resolver(host: str) -> Sequence[str]:
        if host not in (names or {}):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return (names or {})[host]

    return AllowList([ip_network(network) for network in networks], resolver)


async def test_nothing_may_be_dialled_while_no_network_is_listed() -> None:
    with pytest.raises(AddressForbidden, match="MTS_ALLOW_NETWORKS"):
        await listing().pin("203.0.113.7", SECONDS)


async def test_an_address_in_a_listed_network_is_pinned() -> None:
    assert await listing("203.0.113.0/24").pin("203.0.113.7", SECONDS) == (ip_address("203.0.113.7"),)


async def test_an_address_outside_is_refused() -> None:
    with pytest.raises(AddressForbidden):
        await listing("203.0.113.0/24").pin("198.51.100.7", SECONDS)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",  # noqa: S104
        "169.254.169.254",
        "169.254.1.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.100.100.200",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fd00:ec2::254",
        "fd12::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
    ],
)
def test_a_special_address_is_not_opened_by_listing_everything(address: str) -> None:
    assert not listing("0.0.0.0/0", "::/0").allows(ip_address(address))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("::1", "::1/128"),
        ("10.2.3.4", "10.2.0.0/16"),
        ("192.168.1.1", "192.168.1.1/32"),
        ("fd12::1", "fd12::/16"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2a02::1", "::/0"),
    ],
)
def test_a_special_address_is_opened_by_listing_it(address: str, network: str) -> None:
    assert listing(network).allows(ip_address(address))


def test_the_metadata_service_is_not_opened_by_listing_its_neighbours() -> None:
    assert listing("169.254.0.0/16").allows(ip_address("169.254.1.1"))
    assert not listing("169.254.0.0/16").allows(ip_address("169.254.169.254"))


def test_a_mapped_address_is_judged_as_the_address_it_maps() -> None:
    assert not listing("::/0", "::ffff:0:0/96").allows(ip_address("::ffff:203.0.113.7"))


async def test_a_name_is_refused_if_any_of_its_addresses_is_forbidden() -> None:
    rebinding = listing("203.0.113.0/24", names={"meter.example": ["203.0.113.7", "127.0.0.1"]})
    with pytest.raises(AddressForbidden) as refusal:
        await rebinding.pin("meter.example", SECONDS)
    assert "127.0.0.1" not in str(refusal.value)


async def test_a_name_is_pinned_to_its_addresses_in_their_order_each_once() -> None:
    names = {"meter.example": ["203.0.113.9", "::ffff:203.0.113.7", "203.0.113.9"]}
    pinned = await listing("203.0.113.0/24", names=names).pin("meter.example", SECONDS)
    assert pinned == (ip_address("203.0.113.9"), ip_address("203.0.113.7"))


async def test_the_addresses_tried_are_bounded() -> None:
    names = {"meter.example": [f"203.0.113.{last}" for last in range(100)]}
    assert len(await listing("203.0.113.0/24", names=names).pin("meter.example", SECONDS)) == MAX_ADDRESSES


async def test_an_unknown_name_is_no_answer() -> None:
    with pytest.raises(NameNotResolved):
        await listing("203.0.113.0/24").pin("nowhere.example", SECONDS)


async def test_a_name_without_addresses_is_no_answer() -> None:
    with pytest.raises(NameNotResolved):
        await listing("203.0.113.0/24", names={"meter.example": []}).pin("meter.example", SECONDS)


async def test_a_resolver_that_does_not_answer_is_no_answer() -> None:
    async def mute(_host: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(NameNotResolved, match="within"):
        await AllowList([ip_network("203.0.113.0/24")], mute).pin("meter.example", 0.01)


async def test_the_system_resolver_knows_this_machine() -> None:
    allow_list = AllowList([ip_network("127.0.0.0/8"), ip_network("::1/128")])
    assert await allow_list.pin("localhost", SECONDS)
