"""Bytes that have come over a channel and are not read yet."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mts_dialler.errors import LineDropped, MeterSilent

PAUSE_ABOVE = 64 * 1024  # unread bytes


class Flow(Protocol):
    """What can be told to hold its bytes back; an asyncio transport can."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Inbox:
    """Filled by the event loop, read by one task. Past `PAUSE_ABOVE` unread bytes the source is paused."""

    def __init__(self) -> None:
        self.flow: Flow | None = None
        self._unread = bytearray()
        self._paused = False
        self._arrived = asyncio.Event()  # bytes, or the end
        self._end: str | None = None
        self._cause: Exception | None = None

    @property
    def ended(self) -> bool:
        """No more bytes can come; there may be some to be read."""
        return self._end is not None

    def put(self, data: bytes | memoryview) -> None:
        self._unread += data
        self._arrived.set()
        if len(self._unread) > PAUSE_ABOVE and not self._paused and self.flow is not None:
            self._paused = True
            self.flow.pause_reading()

    def end(self, why: str, cause: Exception | None = None) -> None:
        """No more bytes can come. The first reason given is told, with the first cause."""
        self._end = self._end or why
        self._cause = self._cause or cause
        self._arrived.set()

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        """As `Channel.read`."""
        if not self._unread and not self.ended:
            self._arrived.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
            except TimeoutError:
                raise MeterSilent(f"the meter sent nothing for {seconds:g} s") from None
        if not self._unread:
            raise self.dropped()
        data = bytes(self._unread[:max_bytes])
        del self._unread[:max_bytes]
        if self._paused and len(self._unread) <= PAUSE_ABOVE // 2 and not self.ended and self.flow is not None:
            self._paused = False
            self.flow.resume_reading()
        return data

    def dropped(self) -> LineDropped:
        """What to raise where bytes were needed after the end."""
        dropped = LineDropped(self._end or "the connection was closed")
        dropped.__cause__ = self._cause
        return dropped
