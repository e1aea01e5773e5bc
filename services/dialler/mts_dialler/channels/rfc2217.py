"""A serial port of a terminal server that speaks RFC 2217. pyserial's client blocks, so it has threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from typing import Final, TypeVar

from serial.rfc2217 import Serial

from mts_dialler.channels.inbox import Inbox
from mts_dialler.channels.port import Framing
from mts_dialler.errors import LineDropped, LineFault

SCHEME: Final = "rfc2217://"
CLOSE_SECONDS: Final = 10.0  # pyserial waits for its own thread
CONTROL_SECONDS: Final = 10.0  # a change of settings is confirmed by the server; pyserial waits 3 s for each
_POLL_SECONDS = 0.2  # how soon the reading thread sees that the port was closed

Result = TypeVar("Result")


async def open_rfc2217(url: str, baud: int, framing: Framing, seconds: float) -> Rfc2217Port:
    """Connects to `rfc2217://host:port`, DTR on. Raises `LineFault`."""
    port = Rfc2217Port(url, baud, framing)
    try:
        async with asyncio.timeout(seconds):
            await port.open()
    except BaseException as error:
        await port.close()
        if isinstance(error, OSError | ValueError):  # TimeoutError is one
            raise LineFault(f"{url} cannot be opened") from error
        raise
    return port


class Rfc2217Port:
    """`Port` over RFC 2217; made by `open_rfc2217`."""

    def __init__(self, url: str, baud: int, framing: Framing) -> None:
        self._url = url
        self._baud = baud
        self._framing = framing
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._wire = Serial(timeout=_POLL_SECONDS)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"{url} control")  # one thing after the other
        self._reader = Thread(target=self._read_on, name=f"{url} reading", daemon=True)

    async def open(self) -> None:
        """Raises OSError, ValueError."""
        await asyncio.wrap_future(self._worker.submit(self._open))

    def _open(self) -> None:
        self._wire.port = self._url
        self._apply(self._baud, self._framing)
        self._wire.open()
        self._reader.start()

    @property
    def carrier(self) -> bool | None:
        try:
            return bool(self._wire.cd)
        except (OSError, TypeError):  # the server has said nothing of DCD yet
            return None

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        return await self._inbox.read(max_bytes, seconds)

    async def write(self, data: bytes, seconds: float) -> None:
        await self._do(lambda: self._wire.write(data), seconds)

    async def drop_dtr(self, seconds: float) -> bool:
        await self._do(lambda: self._set_dtr(False), CONTROL_SECONDS)
        try:
            await asyncio.sleep(seconds)
        finally:
            restored = self._worker.submit(self._set_dtr, True)
        with suppress(OSError, TimeoutError):  # a port that has gone says so to whoever uses it next
            async with asyncio.timeout(CONTROL_SECONDS):
                await asyncio.wrap_future(restored)
        return True

    async def set_format(self, baud: int, framing: Framing) -> None:
        await self._do(lambda: self._apply(baud, framing), CONTROL_SECONDS)

    async def close(self) -> None:
        self._inbox.end("the serial port was closed")
        closed: Future[None] = self._worker.submit(self._wire.close)
        self._worker.shutdown(wait=False)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.wrap_future(closed)

    async def _do(self, what: Callable[[], Result], seconds: float) -> None:
        if self._inbox.ended:
            raise self._inbox.dropped()
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wrap_future(self._worker.submit(what))
        except OSError as error:  # TimeoutError is one
            self._inbox.end("the terminal server has gone", error)
            raise self._inbox.dropped() from error
        if self._inbox.ended:
            raise LineDropped("the terminal server has gone")

    # --- in threads

    def _apply(self, baud: int, framing: Framing) -> None:
        self._wire.apply_settings(
            {
                "baudrate": baud,
                "bytesize": framing.data_bits,
                "parity": framing.parity,
                "stopbits": framing.stop_bits,
            }
        )

    def _set_dtr(self, on: bool) -> None:
        self._wire.dtr = on

    def _read_on(self) -> None:
        try:
            while self._wire.is_open:
                data = self._wire.read(max(1, self._wire.in_waiting))
                if data:
                    self._loop.call_soon_threadsafe(self._inbox.put, data)
        except (OSError, AttributeError) as error:  # pyserial takes its parts away while it closes
            with suppress(RuntimeError):  # the loop has gone first
                self._loop.call_soon_threadsafe(self._inbox.end, "the terminal server has gone", error)
