"""A client that would have the dialler, or a modem, reach for what it must not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_common import addresses
from mts_common.messages import GrantedCall, GrantedTest, Transport
from mts_dialler.allowlist import AllowList
from mts_dialler.dial import TcpDial
from mts_dialler.errors import AddressForbidden, DiallerError, NotConfigured
from mts_dialler.protocols.errors import LocalProtocolError
from mts_dialler.protocols.hayes import commands

SECONDS = 5.0
EVERYTHING = [ip_network("0.0.0.0/0"), ip_network("::/0")]


def call_to(address: str) -> GrantedCall:
    test = GrantedTest(test_id=1, client_id=1, meter_type="ANY", remote_address=address, attempt=1, tries=0)
    return GrantedCall(
        call_id=UUID(int=1), remote_address=address, canonical_address=address, transport=Transport.TCP, tests=(test,)
    )


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0177.0.0.1",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0X7F.1",
        "127.1",
        "127.0.1",
        "0",
        "127.0.0.1.",
        "127.0.0.01",
        " 127.0.0.1",
        "127.0.0.1 ",
        "127.0.0.1%25lo",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "127.0.0.1\r\n",
        "127.0.0.1\x00.example",
        "user@127.0.0.1",
        "127.0.0.1/x",
        "[::1",
        "[::1%lo]",
        "[fe80::1%25eth0]",
        "[::ffff:7f00:1%1]",
        "::1",
        "[0:0:0:0:0:ffff:127.0.0.1.]",
    ],
)
async def test_another_spelling_of_an_address_is_never_dialled(host: str) -> None:
    """By the form of the address alone, before anything is looked up."""
    looked_up: list[str] = []

    async def resolver(name: str) -> Sequence[str]:
        looked_up.append(name)
        return ["127.0.0.1"]

    dial = TcpDial(AllowList(EVERYTHING, resolver), SECONDS, SECONDS)
    with pytest.raises((AddressForbidden, NotConfigured)):
        await dial(call_to(f"{host}:80"))
    assert looked_up == []


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104
        "::",
        "::ffff:0.0.0.0",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::a9fe:a9fe",
        "::ffff:0:7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:7f00:0:100::",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:1::",
        "2001:0:a9fe:a9fe::1",
        "fe80::1%1",
        "fe80::a9fe:a9fe",
    ],
)
async def test_a_name_that_resolves_to_a_special_address_is_refused(address: str) -> None:
    async def resolver(name: str) -> Sequence[str]:
        return ["203.0.113.7", address]

    with pytest.raises(AddressForbidden):
        await AllowList(EVERYTHING, resolver).pin("meter.example", SECONDS)


@pytest.mark.parametrize(
    ("network", "inner", "outer"),
    [
        ("64:ff9b::/96", "64:ff9b::203.0.113.7", "64:ff9b::169.254.169.254"),
        ("64:ff9b:1::/48", "64:ff9b:1:cb00:71:700::", "64:ff9b:1:a9fe:a9:fe00::"),
        ("2002::/16", "2002:cb00:7107::1", "2002:7f00:1::1"),
        ("2001::/32", "2001:0:cb00:7107:0:0:34ff:8ef8", "2001:0:cb00:7107:0:0:80ff:fffe"),
        ("::ffff:0:0:0/96", "::ffff:0:203.0.113.7", "::ffff:0:10.0.0.1"),
    ],
)
def test_listing_a_tunnel_opens_no_special_address_behind_it(network: str, inner: str, outer: str) -> None:
    allow_list = AllowList([ip_network(network)])
    assert allow_list.allows(ip_address(inner))
    assert not allow_list.allows(ip_address(outer))


@pytest.fixture
def forbidden_port() -> Iterator[socket.socket]:
    """Something that listens where nobody may dial."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.settimeout(0)
        yield listener


async def test_a_name_that_changes_between_check_and_connect_is_dialled_as_it_was_checked(
    forbidden_port: socket.socket,
) -> None:
    """DNS rebinding: the name is looked up once, and what was checked is connected to."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    async def resolver(name: str) -> Sequence[str]:
        return answers.pop(0)

    port = forbidden_port.getsockname()[1]
    dial = TcpDial(AllowList([ip_network("127.0.0.1/32")], resolver), SECONDS, SECONDS)
    with pytest.raises(DiallerError):
        await dial(call_to(f"meter.example:{port}"))
    with pytest.raises(AddressForbidden):
        await dial(call_to(f"meter.example:{port}"))
    with pytest.raises(BlockingIOError):
        forbidden_port.accept()


@given(st.text(max_size=40) | st.from_regex(r"\+?[0-9 -]{1,25}[\r\n;,AT+]{0,4}"))
@settings(max_examples=200)
def test_nothing_but_digits_of_an_address_reaches_a_modem(text: str) -> None:
    """From what a client wrote to the bytes on the modem's line."""
    try:
        address = addresses.parse(text)
    except addresses.AddressError:
        address = addresses.RemoteAddress(text, text, Transport.MODEM)
    try:
        sent = commands.encode(commands.Dial(address.canonical, prefix="9,"))
    except LocalProtocolError:
        return
    number = sent.removeprefix(b"ATDT9,").removesuffix(b"\r").removeprefix(b"+")
    assert number.isdigit()
    assert 3 <= len(number) <= 20


@pytest.mark.parametrize("text", ["E0\rATD+441632960001", "E0\nH", "+CSQ\x00", "é", "A" * 121])
def test_no_command_of_a_modem_holds_another(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        commands.encode(commands.Command(text))


async def test_a_host_that_hangs_in_the_resolver_costs_its_time_alone() -> None:
    async def resolver(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(DiallerError):
        await AllowList(EVERYTHING, resolver).pin("meter.example", 0.01)
