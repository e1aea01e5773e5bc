"""How a meter's faults show on the line: everything a meter sends in one call passes here."""

import asyncio
import random
from contextlib import suppress

from mts_metersim.fleet import Fault, FaultKind
from mts_metersim.iec import even_parity
from mts_metersim.unit import Unit
from mts_metersim.wire import wire_of

WRITE_SECONDS = 30.0
CLOSE_SECONDS = 2.0
ENDLESS_PAUSE = 0.01


class HungUp(Exception):
    """The call is over: the peer is gone or takes no bytes for WRITE_SECONDS, or the fault drops_line."""


class Outlet:
    """The sending side of one connection; the counts of `silent_after` and `drops_line` are per connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._sent = 0
        self._gone = asyncio.Event()

    @property
    def peer_is_gone(self) -> bool:
        return self._gone.is_set()

    def lose_peer(self) -> None:
        """The peer has hung up: what is still to be sent is given up, also in the middle of a reply."""
        self._gone.set()

    async def raw(self, data: bytes) -> None:
        """Bytes as they are. Raises HungUp."""
        if self._gone.is_set():
            raise HungUp("the peer is gone")
        self._writer.write(data)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writer.drain()
        except (TimeoutError, ConnectionError) as fault:
            raise HungUp("the peer takes nothing") from fault

    async def pause(self, seconds: float) -> None:
        """Lets time pass. Raises HungUp if the peer goes meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
            raise HungUp("the peer is gone")

    async def send(self, unit: Unit, reply: bytes) -> None:
        """A meter's reply with its faults, as its protocol puts it on the line. Raises HungUp."""
        if not reply or unit.meter.fault(FaultKind.SILENT):
            return
        latency = unit.meter.fault(FaultKind.LATENCY)
        if latency:
            await self.pause(latency.amount / 1000)
        endless = wire_of(unit).endless(reply) if unit.meter.fault(FaultKind.ENDLESS) else None
        for chunk in endless or ():
            await self.raw(_on_the_line(unit, chunk))
            await self.pause(ENDLESS_PAUSE)
        await self._cut(unit, _on_the_line(unit, _spoilt(unit, reply)))

    async def _cut(self, unit: Unit, data: bytes) -> None:
        """Sends what the limits on the sent bytes leave of it, then hangs up if told so."""
        silent_after, drops = unit.meter.fault(FaultKind.SILENT_AFTER), unit.meter.fault(FaultKind.DROPS_LINE)
        if silent_after:
            data = data[: max(0, silent_after.amount - self._sent)]
        dropping = drops is not None and not (drops.once and unit.dropped) and drops.amount <= self._sent + len(data)
        if dropping and drops is not None:
            data = data[: max(0, drops.amount - self._sent)]
        await self._paced(unit.meter.fault(FaultKind.SLOW), data)
        self._sent += len(data)
        if dropping:
            unit.dropped = True
            raise HungUp("drops_line")

    async def _paced(self, slow: Fault | None, data: bytes) -> None:
        if slow is None:
            await self.raw(data)
            return
        for at in range(len(data)):
            await self.raw(data[at : at + 1])
            await self.pause(slow.amount / 1000)

    async def close(self) -> None:
        """Hangs up; what was sent may still go out for CLOSE_SECONDS."""
        self._writer.close()
        with suppress(ConnectionError, TimeoutError):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._writer.wait_closed()
            finally:
                self._writer.transport.abort()


def _spoilt(unit: Unit, reply: bytes) -> bytes:
    """The reply with a wrong check sequence while the fault wrong_bcc has checks left to spoil."""
    fault = unit.meter.fault(FaultKind.WRONG_BCC)
    spoilt = wire_of(unit).spoilt(reply)
    if fault is None or spoilt == reply or (fault.amount and unit.spoilt_checks >= fault.amount):
        return reply
    unit.spoilt_checks += 1
    return spoilt


def _on_the_line(unit: Unit, reply: bytes) -> bytes:
    if unit.meter.fault(FaultKind.GARBAGE):
        return random.Random(f"{unit.meter.load.seed}:{len(reply)}").randbytes(len(reply))  # noqa: S311 - noise
    return even_parity(reply) if wire_of(unit).has_parity and unit.meter.options.parity == "even" else reply
