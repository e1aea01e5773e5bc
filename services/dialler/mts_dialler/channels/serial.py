"""A serial port of this machine."""

from __future__ import annotations

import asyncio
import fcntl
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import serial
from serial_asyncio_fast import SerialTransport

from mts_dialler.channels.inbox import Inbox
from mts_dialler.channels.port import Framing
from mts_dialler.errors import LineDropped, LineFault

CLOSE_SECONDS: Final = 1.0
CHANGE_SECONDS: Final = 0.05  # for the last character to leave the transmitter before its speed changes


def open_serial(device: str, baud: int, framing: Framing) -> SerialPort:
    """Opens and locks `device`, DTR on. Does not wait. Raises `LineFault`: absent, in use, or not to be set so."""
    try:
        wire = serial.Serial(
            device,
            baud,
            bytesize=framing.data_bits,
            parity=framing.parity,
            stopbits=framing.stop_bits,
            exclusive=True,  # flock, for those who look
        )
    except (OSError, ValueError, termios.error) as error:
        raise LineFault(f"{device} cannot be opened") from error
    try:
        fcntl.ioctl(wire.fileno(), termios.TIOCEXCL)  # and for those who do not
    except OSError as error:
        wire.close()
        raise LineFault(f"{device} cannot be locked") from error
    return SerialPort(wire)


@contextmanager
def _port_errors() -> Iterator[None]:
    """Only our own leaves leave this block."""
    try:
        yield
    except (OSError, termios.error) as error:
        raise LineDropped("the serial port has gone") from error


class SerialPort(asyncio.Protocol):
    """`Port` over a local device; made by `open_serial`."""

    def __init__(self, wire: serial.Serial) -> None:
        self._wire = wire
        self._baud = wire.baudrate
        self._inbox = Inbox()
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = asyncio.Event()
        self._sent_at = 0.0  # on the loop's clock, when the last character written will have been sent
        self._transport = SerialTransport(asyncio.get_running_loop(), self, wire)
        self._transport.set_write_buffer_limits(high=0)  # writable means that all bytes were handed to the kernel
        self._inbox.flow = self._transport

    @property
    def carrier(self) -> bool | None:
        try:
            return bool(self._wire.cd)
        except (OSError, TypeError):  # a pseudo-terminal has no DCD; a port that was closed has no file
            return None

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        return await self._inbox.read(max_bytes, seconds)

    async def write(self, data: bytes, seconds: float) -> None:
        self._require()
        now = asyncio.get_running_loop().time()
        bits = self._wire.bytesize + int(self._wire.stopbits) + (self._wire.parity != "N") + 1
        self._sent_at = max(now, self._sent_at) + len(data) * bits / self._baud
        self._transport.write(data)
        try:
            async with asyncio.timeout(seconds):
                await self._writable.wait()
        except TimeoutError:
            raise LineDropped(f"the serial port took no bytes for {seconds:g} s") from None
        self._require()

    async def drop_dtr(self, seconds: float) -> bool:
        """Also by speed 0, the terminal's own word for it (POSIX, B0): the other end of a pseudo-terminal sees that."""
        self._require()
        with _port_errors():
            self._set_dtr(False)
            self._wire.baudrate = 0
        try:
            await asyncio.sleep(seconds)
        finally:
            with suppress(OSError, termios.error):  # a port that has gone says so to whoever uses it next
                self._wire.baudrate = self._baud
                self._set_dtr(True)
        return True

    def _set_dtr(self, on: bool) -> None:
        with suppress(OSError):  # a pseudo-terminal has none
            self._wire.dtr = on

    async def set_format(self, baud: int, framing: Framing) -> None:
        left = self._sent_at - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left + CHANGE_SECONDS)
        self._require()
        with _port_errors():
            self._wire.apply_settings(
                {
                    "baudrate": baud,
                    "bytesize": framing.data_bits,
                    "parity": framing.parity,
                    "stopbits": framing.stop_bits,
                }
            )
        self._baud = baud

    async def close(self) -> None:
        self._inbox.end("the serial port was closed")
        if not self._transport.is_closing() or self._transport.get_write_buffer_size():
            self._transport.abort()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            pass

    def _require(self) -> None:
        if self._inbox.ended:
            raise self._inbox.dropped()

    # --- called by the event loop

    def data_received(self, data: bytes) -> None:
        self._inbox.put(data)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbox.end("the serial port has gone", exc)
        self._writable.set()
        self._closed.set()
