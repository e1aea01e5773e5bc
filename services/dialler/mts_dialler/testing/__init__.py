"""Stand-ins for a clock and a line, for tests of drivers and of the dialler itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from mts_common.messages import NameValue, Transport
from mts_dialler.errors import LineDropped
from mts_dialler.protocols.parity import CharacterFormat


class ManualClock:
    """Stands still until `advance`."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed + seconds, sleeper))
        await sleeper

    def advance(self, seconds: float) -> None:
        """Wakes whoever's time has come."""
        self._elapsed += seconds
        due = [sleeper for at, sleeper in self._sleepers if at <= self._elapsed]
        self._sleepers = [(at, sleeper) for at, sleeper in self._sleepers if at > self._elapsed]
        for sleeper in due:
            if not sleeper.done():
                sleeper.set_result(None)


class ScriptedChannel:
    """A line whose far end says what the script says: bytes are read, errors raised; then it is silent."""

    def __init__(self, script: Iterable[bytes | Exception] = (), transport: Transport = Transport.TCP) -> None:
        self.transport = transport
        self.sent: list[bytes] = []
        self.waits: list[float] = []
        self.reading = asyncio.Event()  # set while a read waits in vain
        self.closed = False
        self._script = list(script)
        self._more = asyncio.Event()

    def say(self, *script: bytes | Exception) -> None:
        """The script goes on."""
        self._script += script
        self._more.set()

    async def read(self, max_bytes: int, seconds: float) -> bytes:
        self.waits.append(seconds)
        if self.closed:
            raise LineDropped("the connection was closed")
        if not self._script:
            self.reading.set()
            self._more.clear()
            await self._more.wait()
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        if len(step) > max_bytes:
            self._script.insert(0, step[max_bytes:])
        return step[:max_bytes]

    async def write(self, data: bytes, seconds: float) -> None:
        if self.closed:
            raise LineDropped("the connection was closed")
        self.sent.append(data)

    async def close(self) -> None:
        self.closed = True


class OwnScriptedChannel(ScriptedChannel):
    """The same over a line of ours; keeps the speeds that it is set to."""

    facts = (NameValue(name="Signal strength", value="-91 dBm"),)

    def __init__(self, script: Iterable[bytes | Exception] = ()) -> None:
        super().__init__(script, Transport.MODEM)
        self.character_format: CharacterFormat | None = None
        self.speeds: list[int | None] = []

    async def set_speed(self, baud: int | None) -> None:
        self.speeds.append(baud)


async def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Lets the other tasks run until `holds()`. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - `holds` may look at anything, not only at what can notify
            await asyncio.sleep(0)
