"""Opening the line of a call."""

from __future__ import annotations

from typing import Protocol

from mts_common import addresses
from mts_common.messages import GrantedCall
from mts_dialler.allowlist import AllowList
from mts_dialler.channels import tcp
from mts_dialler.channels.base import Channel
from mts_dialler.errors import NotConfigured


class Dial(Protocol):
    async def __call__(self, call: GrantedCall) -> Channel:
        """A line to the call's address. Raises a leaf of `DiallerError`; leaves nothing open when cancelled."""
        ...


class TcpDial:
    """Looks the name up, checks every address it has, and connects to those alone."""

    def __init__(self, allow_list: AllowList, resolve_seconds: float, connect_seconds: float) -> None:
        self._allow_list = allow_list
        self._resolve_seconds = resolve_seconds
        self._connect_seconds = connect_seconds

    async def __call__(self, call: GrantedCall) -> Channel:
        try:
            address = addresses.parse(call.canonical_address)
        except addresses.AddressError as error:
            raise NotConfigured("the address cannot be read") from error
        if address.host is None or address.port is None:
            raise NotConfigured("this dialler has no modem")
        pinned = await self._allow_list.pin(address.host, self._resolve_seconds)
        return await tcp.connect(pinned, address.port, self._connect_seconds)
