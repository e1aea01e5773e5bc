"""A meter, or the gateway in front of it, on a TCP port."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import Final, cast

from mts_common.messages import Transport
from mts_dialler.channels.inbox import Inbox
from mts_dialler.errors import ConnectRefused, ConnectTimeout, DiallerError, LineDropped, LineFault

CLOSE_SECONDS: Final = 1.0
_CHUNK = 8 * 1024

_KEEPALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 30,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_NODELAY): 1,
}

_CONNECT_ERRORS: dict[int, tuple[type[DiallerError], str]] = {
    errno.ECONNREFUSED: (ConnectRefused, "the connection was refused"),
    errno.ECONNRESET: (ConnectRefused, "the connection was refused"),
    errno.ECONNABORTED: (ConnectRefused, "the connection was refused"),
    errno.EHOSTUNREACH: (ConnectRefused, "the address cannot be reached"),
    errno.ENETUNREACH: (ConnectRefused, "the address cannot be reached"),
    errno.EHOSTDOWN: (ConnectRefused, "the address cannot be reached"),
    errno.ETIMEDOUT: (ConnectTimeout, "the address did not answer"),
    errno.ENETDOWN: (LineFault, "the dialler's network is down"),
    errno.EMFILE: (LineFault, "the dialler has no more sockets"),
    errno.ENFILE: (LineFault, "the dialler has no more sockets"),
    errno.ENOBUFS: (LineFault, "the dialler has no more sockets"),
    errno.ENOMEM: (LineFault, "the dialler has no more sockets"),
    errno.EADDRNOTAVAIL: (LineFault, "the dialler has no more ports"),
}
_OTHER_CONNECT_ERROR = (LineFault, "the dialler cannot connect")


@contextmanager
def _connect_errors() -> Iterator[None]:
    """Only our own leaves leave this block."""
    try:
        yield
    except TimeoutError as error:
        raise ConnectTimeout("the address did not answer") from error
    except OSError as error:
        leaf, text = _CONNECT_ERRORS.get(error.errno or 0, _OTHER_CONNECT_ERROR)
        raise leaf(text) from error


async def connect(addresses: Sequence[IPv4Address | IPv6Address], port: int, seconds: float) -> TcpChannel:
    """Connects to the first of `addresses` that answers, all within `seconds`. No name is looked up here.

    Raises `ConnectRefused`, `ConnectTimeout`, `LineFault`: what the last address said.
    """
    *first, last = addresses
    for address in first:
        try:
            return await _connect(address, port, seconds / len(addresses))
        except (ConnectRefused, ConnectTimeout):
            continue
    return await _connect(last, port, seconds / len(addresses))


async def _connect(address: IPv4Address | IPv6Address, port: int, seconds: float) -> TcpChannel:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with _connect_errors():
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.setblocking(False)
            for (level, option), value in _KEEPALIVE.items():
                wire.setsockopt(level, option, value)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(wire, (str(address), port))
                _, channel = await loop.create_connection(TcpChannel, sock=wire)
        except BaseException:
            wire.close()
            raise
    return channel


class TcpChannel(asyncio.BufferedProtocol):
    """`Channel` over a connected socket; made by `connect`."""

    transport: Final = Transport.TCP

    def __init__(self) -> None:
        self._chunk = bytearray(_CHUNK)
        self._inbox = Inbox()  # what it holds back stays with the kernel, whose window then stops the far end
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._wire: asyncio.Transport

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        return await self._inbox.read(max_bytes, seconds)

    async def write(self, data: bytes, seconds: float) -> None:
        if self._inbox.ended:
            raise self._inbox.dropped()
        self._wire.write(data)
        try:
            async with asyncio.timeout(seconds):
                await self._writable.wait()
        except TimeoutError:
            raise LineDropped(f"the connection took no bytes for {seconds:g} s") from None
        if self._closed.is_set():
            raise self._inbox.dropped()

    async def close(self) -> None:
        self._inbox.end("the connection was closed")
        self._wire.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            pass
        finally:
            self._wire.abort()

    # --- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        self._inbox.flow = self._wire
        self._wire.set_write_buffer_limits(high=0)  # writable means that all bytes were handed to the kernel

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - one buffer, whatever the hint
        return self._chunk

    def buffer_updated(self, nbytes: int) -> None:
        self._inbox.put(memoryview(self._chunk)[:nbytes])

    def eof_received(self) -> None:
        self._inbox.end("the far end closed the connection")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbox.end("the connection was lost", exc)
        self._writable.set()
        self._closed.set()
