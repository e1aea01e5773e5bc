"""A line of so many bits a second between a driver and a simulated meter, on a clock that only they move.

Nothing waits: a call of minutes is measured in the seconds that its computing takes, and always comes to the same
figures. The far end is the simulator's own conversation, without a socket.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mts_common.messages import Transport
from mts_dialler.errors import LineDropped, MeterSilent
from mts_metersim.iec import even_parity
from mts_metersim.port import Call
from mts_metersim.unit import Unit
from mts_metersim.wire import wire_of

BITS_PER_BYTE = 10  # start, eight data or seven and parity, stop
SLICE_BYTES = 16  # of a reply arrive together, as behind the FIFO of a serial port


class VirtualClock:
    """`mts_dialler.clock.Clock` whose time passes only when the line says so."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self._elapsed += seconds

    def advance_to(self, moment: float) -> None:
        self._elapsed = max(self._elapsed, moment)

    def nanoseconds(self) -> int:
        """Since 1970, for the meters."""
        return int((self.now() - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000


@dataclass(slots=True)
class Exchange:
    """What went one way and what came back before anything else was said."""

    sent: bytes
    received: bytes = b""


@dataclass(frozen=True, slots=True)
class Least:
    """Octets both ways, and how often the line must turn."""

    octets: int
    turns: int

    def seconds(self, bit_rate: int, delay_seconds: float) -> float:
        """Of a call on a line of that rate with that delay in each direction."""
        return self.octets * BITS_PER_BYTE / bit_rate + self.turns * 2 * delay_seconds


class PacedLine:
    """A `Channel`. `delay_seconds`: of each direction, on top of the time that the bytes take. `exchanges`: all of the
    call so far."""

    transport = Transport.MODEM

    def __init__(self, clock: VirtualClock, call: Call, bit_rate: int, delay_seconds: float) -> None:
        self.exchanges: list[Exchange] = []
        self._clock = clock
        self._call = call
        self._byte_seconds = BITS_PER_BYTE / bit_rate
        self._delay = delay_seconds
        self._there_free_at = 0.0
        self._back_free_at = 0.0
        self._arriving: deque[tuple[float, bytes]] = deque()

    async def write(self, data: bytes, seconds: float) -> None:  # noqa: ARG002 - the bytes are taken at once
        self.exchanges.append(Exchange(data))
        begun = max(self._clock.monotonic(), self._there_free_at)
        self._there_free_at = begun + len(data) * self._byte_seconds
        heard_at = self._there_free_at + self._delay
        replies = [_on_the_line(unit, reply) for unit, reply in self._call.receive(data)]
        self._answer(b"".join(replies), heard_at)

    def _answer(self, reply: bytes, heard_at: float) -> None:
        self.exchanges[-1].received += reply
        self._back_free_at = max(heard_at, self._back_free_at)
        for at in range(0, len(reply), SLICE_BYTES):
            piece = reply[at : at + SLICE_BYTES]
            self._back_free_at += len(piece) * self._byte_seconds
            self._arriving.append((self._back_free_at + self._delay, piece))

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        end = self._clock.monotonic() + seconds
        if not self._arriving or self._arriving[0][0] > end:
            self._clock.advance_to(end)
            raise MeterSilent("nothing came")
        arrival, piece = self._arriving.popleft()
        self._clock.advance_to(arrival)
        if len(piece) > max_bytes:
            self._arriving.appendleft((arrival, piece[max_bytes:]))
        return piece[:max_bytes]

    async def close(self) -> None:
        self._arriving = deque([(0.0, b"")])
        raise LineDropped("closed")


def _on_the_line(unit: Unit, reply: bytes) -> bytes:
    return even_parity(reply) if wire_of(unit).has_parity and unit.meter.options.parity == "even" else reply
