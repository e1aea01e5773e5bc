"""A serial port behind a plain TCP serial server: bytes alone, no speed, no DTR, no DCD."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Final

from mts_dialler.channels import tcp
from mts_dialler.channels.port import Framing
from mts_dialler.channels.tcp import TcpChannel
from mts_dialler.errors import ConnectRefused, ConnectTimeout, LineFault

SCHEME: Final = "tcp://"


async def open_remote(url: str, seconds: float) -> RemotePort:
    """Connects to `tcp://host:port` within `seconds`. Raises `LineFault`."""
    host, _, port = url.removeprefix(SCHEME).rpartition(":")
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
            addresses = [ip_address(place[0]) for *_, place in found]
            return RemotePort(await tcp.connect(addresses, int(port), seconds))
    except (OSError, ConnectRefused, ConnectTimeout) as error:  # TimeoutError is an OSError
        raise LineFault(f"{url} cannot be opened") from error


class RemotePort:
    """`Port` over TCP; made by `open_remote`."""

    def __init__(self, channel: TcpChannel) -> None:
        self.read = channel.read
        self.write = channel.write
        self.close = channel.close

    @property
    def carrier(self) -> bool | None:
        return None

    async def drop_dtr(self, seconds: float) -> bool:  # noqa: ARG002 - there is none
        return False

    async def set_format(self, baud: int, framing: Framing) -> None:
        """The server's own settings are what counts."""
