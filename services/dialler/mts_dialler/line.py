"""A channel as one test of a call sees it: with deadlines, a budget and a trace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mts_common import failpoints
from mts_common.messages import Transport
from mts_dialler.channels.base import Channel, OwnChannel
from mts_dialler.clock import Clock, SystemClock
from mts_dialler.errors import CallTooLong, MeterSilent
from mts_dialler.protocols.parity import CharacterCodec, CharacterFormat
from mts_dialler.trace import Secrets, Trace

MAX_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class LineLimits:
    """Times in seconds. The defaults suit a meter behind a TCP gateway or a GPRS modem (iec62056-21.md, section 5)."""

    reply_seconds: float = 10.0  # from the end of our frame to the first byte of the answer
    character_seconds: float = 5.0  # between the bytes of an answer
    settle_seconds: float = 0.3  # silence that shows that the far end has finished
    write_seconds: float = 10.0
    test_seconds: float = 900.0  # for all of a test but its sign-off
    test_bytes: int = 4 * 1024 * 1024  # both directions together
    sign_off_seconds: float = 5.0
    sign_off_bytes: int = 8192


class Line:
    """What a driver talks through. Made new for each test; the channel below may serve several.

    Every wait is cut by the test's budget; passing it raises `CallTooLong`, as does each use after that, until
    `begin_sign_off`.
    """

    def __init__(
        self,
        channel: Channel,
        limits: LineLimits | None = None,
        clock: Clock | None = None,
        secrets: Secrets | None = None,
        trace: Trace | None = None,
    ) -> None:
        self.limits = limits or LineLimits()
        self.secrets = secrets or Secrets()
        self.trace = trace or Trace(self.secrets)
        self._channel = channel
        self._clock = clock or SystemClock()
        self._bytes_left = self.limits.test_bytes
        self._ends_at = self._clock.monotonic() + self.limits.test_seconds
        self._signing_off = False
        self._sent_at: float | None = None  # while nothing has come since
        self._round_trip = 0.0

    @property
    def transport(self) -> Transport:
        return self._channel.transport

    def now(self) -> datetime:
        """The time in UTC."""
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    @property
    def delay(self) -> timedelta:
        """What the line takes one way: half of the last round trip, from our sending to the first byte that came."""
        return timedelta(seconds=self._round_trip / 2)

    def characters(self, usual: CharacterFormat) -> CharacterCodec:
        """How seven-bit characters travel on this line: as the test's comsSettings has it, else as is `usual`.

        For one session. Protocols of octets have no use for it.
        """
        own = self._channel.character_format if isinstance(self._channel, OwnChannel) else None
        return CharacterCodec(own or usual)

    async def set_speed(self, baud: int | None) -> None:
        """The meter's port changes its speed, and so does ours if it can; None = back to that of a sign-on.

        Does nothing over modems and TCP, whose speed is not the meter's. Raises `LineFault`.
        """
        if isinstance(self._channel, OwnChannel):
            await self._channel.set_speed(baud)

    def hide(self, secret: bytes) -> None:
        """`secret` is struck out of the trace wherever it stands, both ways, whatever its parity bits.

        Give every form that travels: the text as sent, what it is encrypted to, its hexadecimal digits. May be called
        before or after the bytes have passed.
        """
        self.secrets.add(secret)

    def note(self, text: str) -> None:
        """What the last frame means, in plain words, for the reader of the trace."""
        self.trace.note(self.now(), text)

    async def send(self, data: bytes, note: str = "") -> None:
        """Hands `data` to the line. Raises `LineDropped`, `CallTooLong`."""
        seconds = self._cut(self.limits.write_seconds)
        self.trace.sent(self.now(), data, note)
        self._spend(len(data))
        self._sent_at = self._clock.monotonic()
        await self._channel.write(data, seconds)

    async def receive(self, seconds: float) -> bytes:
        """1 to 4096 bytes, as soon as there are any. Raises `MeterSilent`, `LineDropped`, `CallTooLong`."""
        allowed = self._cut(seconds)
        try:
            data = await self._channel.read(MAX_CHUNK, allowed)
        except MeterSilent as silence:
            if allowed < seconds:
                raise self._too_long() from silence
            raise
        failpoints.reach("dialler.received")
        if self._sent_at is not None:
            self._round_trip, self._sent_at = self._clock.monotonic() - self._sent_at, None
        self.trace.received(self.now(), data)
        self._spend(len(data))
        return data

    async def settle(self, seconds: float | None = None) -> None:
        """Reads and drops what still comes, until nothing came for `seconds` (`limits.settle_seconds`).

        For use before a sign-on, after a break and before a repeat. Raises `LineDropped`, `CallTooLong`.
        """
        seconds = self.limits.settle_seconds if seconds is None else seconds
        while True:
            try:
                await self.receive(seconds)
            except MeterSilent:
                return

    def begin_sign_off(self) -> None:
        """Gives the test the small budget `limits.sign_off_seconds` in place of what is left. Once per test."""
        if self._signing_off:
            return
        self._signing_off = True
        self._bytes_left = self.limits.sign_off_bytes
        self._ends_at = self._clock.monotonic() + self.limits.sign_off_seconds

    def _cut(self, seconds: float) -> float:
        """`seconds`, or what is left of the test's time if that is less."""
        left = self._ends_at - self._clock.monotonic()
        if left <= 0:
            raise self._too_long()
        return min(seconds, left)

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise CallTooLong(f"more than {self.limits.test_bytes} bytes were exchanged")

    def _too_long(self) -> CallTooLong:
        return CallTooLong(f"the test took longer than {self.limits.test_seconds:g} s")
