"""A call over a modem: bytes, until the carrier is lost or the line is hung up (modems.md, section 3.3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

from mts_common.messages import NameValue, Transport
from mts_dialler.channels.port import Port
from mts_dialler.errors import LineDropped, LineFault, MeterSilent
from mts_dialler.lines_file import LineSettings
from mts_dialler.protocols.hayes import facts
from mts_dialler.protocols.hayes.carrier import CarrierWatch
from mts_dialler.protocols.hayes.modem import Modem, Step
from mts_dialler.protocols.hayes.results import Answer
from mts_dialler.protocols.parity import CharacterFormat

CHUNK: Final = 4096
CARRIER_POLL_SECONDS: Final = 0.5
_CLOSED: Final = "the connection was closed"


class DialledLine(Protocol):
    """The line that the call is on. `signal` is that of its last registration."""

    settings: LineSettings
    signal: facts.Signal | None

    async def hang_up(self) -> None:
        """Ends the call; raises nothing."""
        ...


class ModemChannel:
    """`OwnChannel` over a dialled line; made by `ModemLine.call`."""

    transport: Final = Transport.MODEM

    def __init__(
        self,
        line: DialledLine,
        port: Port,
        modem: Modem,
        answer: Answer,
        character_format: CharacterFormat | None,
    ) -> None:
        self.character_format = character_format
        self.facts = _facts(line.signal, answer)
        self._line = line
        self._port = port
        self._modem = modem
        self._silence = line.settings.carrier_silence_seconds
        self._watch = CarrierWatch()
        self._heard_at = self._now()
        self._unread = modem.payload()
        self._end: str | None = None
        self._dcd_tells = port.carrier is True  # DCD that is off in a call is not wired

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        until = self._now() + seconds
        while not self._unread:
            self._look()
            left = until - self._now()
            if left < 0:
                raise MeterSilent(f"the meter sent nothing for {seconds:g} s")
            await self._listen(min(left, self._patience()))
        data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
        return data

    async def write(self, data: bytes, seconds: float) -> None:
        while self._watch.suspects and not self._unread:
            await self._listen(self._patience())
            self._look()
        self._look()
        with self._own_end():
            await self._port.write(data, seconds)

    async def settle(self, seconds: float) -> None:
        """Drops what comes for so long: modems greet each other, some meters' modems send banners."""
        until = self._now() + seconds
        with contextlib.suppress(MeterSilent):
            while (left := until - self._now()) > 0:
                await self.read(CHUNK, left)

    async def set_speed(self, baud: int | None) -> None:
        """Nothing: the modems agree on the line's speed, and the port's is between us and our modem."""

    async def close(self) -> None:
        if self._end != _CLOSED:
            self._end = _CLOSED
            await self._line.hang_up()

    def _patience(self) -> float:
        """How long to listen before looking again."""
        if self._watch.suspects:
            return max(0.0, self._silence - (self._now() - self._heard_at))
        return CARRIER_POLL_SECONDS if self._dcd_tells else float("inf")

    def _look(self) -> None:
        """Raises `LineDropped` if the far end has gone."""
        if self._end is not None:
            raise LineDropped(self._end)
        silent = self._now() - self._heard_at
        if (self._watch.suspects and silent >= self._silence) or (self._dcd_tells and self._port.carrier is False):
            self._modem.step(Step.CARRIER_LOST)
            self._end = "the modem lost the carrier"
            raise LineDropped(self._end)

    async def _listen(self, seconds: float) -> None:
        with contextlib.suppress(MeterSilent), self._own_end():
            self._modem.feed(await self._port.read(CHUNK, seconds))
            data = self._modem.payload()
            self._watch.received(data)
            self._unread += data
            self._heard_at = self._now()

    @contextlib.contextmanager
    def _own_end(self) -> Iterator[None]:
        try:
            yield
        except LineDropped as error:
            self._end = str(error)
            raise LineFault(f"line {self._line.settings.name}: {error}") from error


def _facts(signal: facts.Signal | None, answer: Answer) -> tuple[NameValue, ...]:
    known = {
        "Signal strength": "" if signal is None else f"{signal.dbm} dBm",
        "Modem connection": answer.text,
    }
    return tuple(NameValue(name=name, value=value) for name, value in known.items() if value)
