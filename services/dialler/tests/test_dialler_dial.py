"""From a granted call to a line."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from uuid import uuid4

import pytest

from mts_common.messages import GrantedCall, GrantedTest, Transport
from mts_dialler.allowlist import AllowList
from mts_dialler.dial import TcpDial
from mts_dialler.errors import AddressForbidden, NotConfigured
from mts_metersim.testing import far_end

DIAL = TcpDial(AllowList([ip_network("127.0.0.0/8")]), resolve_seconds=5.0, connect_seconds=5.0)


def a_call(address: str) -> GrantedCall:
    test = GrantedTest(test_id=1, client_id=1, meter_type="ANY", remote_address=address, attempt=1, tries=0)
    return GrantedCall(
        call_id=uuid4(), remote_address=address, canonical_address=address, transport=Transport.TCP, tests=(test,)
    )


async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    pass


async def test_an_allowed_address_is_connected_to() -> None:
    async with far_end(hang_up) as port:
        channel = await DIAL(a_call(f"127.0.0.1:{port}"))
        assert channel.transport is Transport.TCP
        await channel.close()


async def test_a_forbidden_address_is_not() -> None:
    with pytest.raises(AddressForbidden):
        await DIAL(a_call("203.0.113.7:4059"))


@pytest.mark.parametrize("address", ["+441632960001", "nonsense"])
async def test_what_is_no_tcp_address_is_not_dialled(address: str) -> None:
    with pytest.raises(NotConfigured):
        await DIAL(a_call(address))
