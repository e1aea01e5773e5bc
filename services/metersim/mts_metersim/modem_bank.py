"""A bank of modems on pseudo-terminals, and the telephone exchange between them and the meters."""

import asyncio
import errno
import os
import random
import select
import termios
import time
import tty
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mts_metersim.log import CallLog
from mts_metersim.modem_hayes import Deed, Dials, HangsUp, HayesModem, ToHost, ToLine
from mts_metersim.modem_plan import RESULTS, ModemSpec, Outcome, Plan, Subscriber

TICK_SECONDS = 0.01
CONNECT_SECONDS = 5.0
DRAIN_SECONDS = 30.0
READ_BYTES = 4096
MAX_UNSENT = 64 * 1024
MAX_UNSENT_PIECES = 64
SLICE_SECONDS = 0.02  # of paced bytes are sent at once
BITS_PER_BYTE = 10

NOBODY = Subscriber(Outcome.NO_CARRIER, cause="Unassigned number")

Resolve = Callable[[Subscriber], tuple[str, int]]


class Exchange:
    """Which number is what, and which is in a call: a number takes one call at a time."""

    def __init__(self, numbers: Mapping[str, Subscriber], resolve: Resolve, bit_rate: int, log: CallLog) -> None:
        self.bit_rate = bit_rate
        self.log = log
        self._numbers = numbers
        self._resolve = resolve
        self._engaged: set[str] = set()

    def ring(self, number: str) -> Subscriber:
        """What answers there now."""
        if number in self._engaged:
            return Subscriber(Outcome.BUSY, cause="User busy")
        return self._numbers.get(number, NOBODY)

    def engage(self, number: str) -> None:
        self._engaged.add(number)

    def release(self, number: str) -> None:
        self._engaged.discard(number)

    def place(self, subscriber: Subscriber) -> tuple[str, int]:
        """Host and port of the meter behind a number."""
        return self._resolve(subscriber)


class Pacer:
    """One direction of a call: bytes take the time that the line needs for them, however late they are looked at."""

    def __init__(self, bit_rate: int) -> None:
        self._bytes_per_second = bit_rate / BITS_PER_BYTE
        self._free_at = 0.0

    def pieces(self, data: bytes) -> list[bytes]:
        """`data` in what the line carries in SLICE_SECONDS."""
        size = max(1, int(self._bytes_per_second * SLICE_SECONDS)) if self._bytes_per_second else len(data)
        return [data[at : at + size] for at in range(0, len(data), size)]

    async def carry(self, data: bytes) -> None:
        """Returns when the line has carried `data`."""
        if self._bytes_per_second:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + len(data) / self._bytes_per_second
            await asyncio.sleep(self._free_at - now)


class _LineDropped(Exception):
    """The far end, or the network, has ended the call."""


class BankModem:
    """One modem on a pseudo-terminal, found under `device`: a symbolic link that stays the same.

    A pseudo-terminal has no DTR: the host lets go of the line by closing it, or by setting its speed to 0.
    """

    def __init__(self, spec: ModemSpec, device: Path, exchange: Exchange, group: asyncio.TaskGroup) -> None:
        self.spec = spec
        self.device = device
        self.mute = spec.mute
        self.modem = HayesModem(spec.radio, spec.refuses)
        self._exchange = exchange
        self._group = group
        self._master = -1
        self._held = False  # the host has the terminal open, at a speed above 0
        self._reading = False
        self._to_host = bytearray()
        self._to_line: asyncio.Queue[bytes] = asyncio.Queue(MAX_UNSENT_PIECES)
        self._call: asyncio.Task[None] | None = None

    # --- the device

    def appear(self) -> None:
        """The terminal is plugged in: new, with the factory's settings. Raises OSError."""
        self._master, slave = os.openpty()
        tty.setraw(slave)
        path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self.modem = HayesModem(self.spec.radio, self.spec.refuses)
        self.device.symlink_to(path)

    def vanish(self) -> None:
        """The terminal is pulled out, in the middle of whatever goes on."""
        if self._master < 0:
            return
        self.device.unlink(missing_ok=True)
        self._hang_up()
        self._stop_reading()
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._master)
        os.close(self._master)
        self._master, self._held = -1, False
        self._to_host.clear()

    async def run(self) -> None:
        """Minds the terminal until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._master >= 0:
                self._look()

    def _look(self) -> None:
        opened = not self._is_hung_up()
        held = opened and termios.tcgetattr(self._master)[4] != termios.B0
        if self._held and not held:
            self._to_host.clear()
            if self.spec.dtr_wired:
                self._do(self.modem.dtr_dropped())
        self._held = held
        if opened and not self._reading:
            self._reading = True
            asyncio.get_running_loop().add_reader(self._master, self._readable)
        self._do(self.modem.tick(time.monotonic()))

    def _is_hung_up(self) -> bool:
        poll = select.poll()
        poll.register(self._master, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def _readable(self) -> None:
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as fault:
            if fault.errno != errno.EIO:
                raise
            self._stop_reading()
            return
        self._held = True
        if not self.mute:
            self._do(self.modem.receive(data, time.monotonic()))

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._master)

    # --- what the modem does

    def _do(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            match deed:
                case ToHost(data):
                    self._send(data)
                case ToLine(data):
                    with suppress(asyncio.QueueFull):
                        self._to_line.put_nowait(data)
                case Dials(number):
                    self._call = self._group.create_task(self._serve(number), name=f"{self.spec.name} calls {number}")
                case HangsUp():
                    self._hang_up()

    def _send(self, data: bytes) -> None:
        if self._master < 0 or not self._held or self.mute or len(self._to_host) > MAX_UNSENT:
            return
        self._to_host += data
        self._flush()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(BlockingIOError):
            while self._to_host:
                del self._to_host[: os.write(self._master, self._to_host)]
        if self._to_host:
            loop.add_writer(self._master, self._flush)
        else:
            loop.remove_writer(self._master)

    def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    # --- a call

    async def _serve(self, number: str) -> None:
        subscriber = self._exchange.ring(number)
        facts = {"modem": self.spec.name, "number": number}
        self._exchange.log.write("dial", **facts, outcome=subscriber.outcome.value)
        answers = subscriber.outcome is Outcome.CONNECT
        if answers:
            self._exchange.engage(number)
        try:
            result = await self._progress(subscriber)
            self._call = None
            self._do(self.modem.call_ended(result, subscriber.cause))
        finally:
            if answers:
                self._exchange.release(number)
            self._exchange.log.write("hang_up", **facts)

    async def _progress(self, subscriber: Subscriber) -> str:
        """The result code at the end of a try or a call."""
        if subscriber.outcome is Outcome.SILENCE:
            await asyncio.Event().wait()
        patience = self.modem.wait_seconds
        await asyncio.sleep(min(subscriber.seconds, patience))
        if subscriber.seconds > patience:
            return "NO CARRIER"
        if subscriber.outcome is not Outcome.CONNECT:
            return RESULTS[subscriber.outcome]
        with suppress(OSError, TimeoutError, _LineDropped):
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(*self._exchange.place(subscriber))
            try:
                await self._converse(subscriber, reader, writer)
            finally:
                writer.transport.abort()
        return "NO CARRIER"

    async def _converse(
        self, subscriber: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        noise = random.Random(subscriber.garbage_bytes).randbytes(subscriber.garbage_bytes)  # noqa: S311
        self._send(noise)
        while not self._to_line.empty():
            self._to_line.get_nowait()
        self._do(self.modem.connected(subscriber.text, time.monotonic()))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._from_host(writer), name=f"{self.spec.name} to meter")
                both.create_task(self._from_meter(subscriber, reader), name=f"{self.spec.name} from meter")
        except* (_LineDropped, OSError, TimeoutError) as ended:
            raise _LineDropped from ended

    async def _from_host(self, writer: asyncio.StreamWriter) -> None:
        pacer = Pacer(self._exchange.bit_rate)
        while True:
            data = await self._to_line.get()
            await pacer.carry(data)
            writer.write(data)
            async with asyncio.timeout(DRAIN_SECONDS):
                await writer.drain()

    async def _from_meter(self, subscriber: Subscriber, reader: asyncio.StreamReader) -> None:
        pacer = Pacer(self._exchange.bit_rate)
        left = subscriber.drop_after_bytes or None
        while data := await reader.read(READ_BYTES):
            for piece in pacer.pieces(data[:left]):
                await pacer.carry(piece)
                self._send(piece)
            if left is not None:
                left -= len(data)
                if left <= 0:
                    break
        raise _LineDropped


class ModemBank:
    """The modems of a plan; see `running_bank`."""

    def __init__(self, plan: Plan, directory: Path, resolve: Resolve, log: CallLog, group: asyncio.TaskGroup) -> None:
        exchange = Exchange(plan.numbers, resolve, plan.bit_rate, log)
        self.modems = {spec.name: BankModem(spec, directory / spec.name, exchange, group) for spec in plan.modems}
        self._group = group
        self._minding: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Raises OSError."""
        for name, modem in self.modems.items():
            modem.appear()
            self._minding.append(self._group.create_task(modem.run(), name=f"modem {name}"))

    def close(self) -> None:
        for modem in self.modems.values():
            modem.vanish()
        for task in self._minding:
            task.cancel()

    def ready(self) -> list[dict[str, str]]:
        """The modems as the ready file lists them."""
        return [
            {"name": name, "kind": modem.spec.kind, "device": str(modem.device)} for name, modem in self.modems.items()
        ]


@asynccontextmanager
async def running_bank(plan: Plan, directory: Path, resolve: Resolve, log: CallLog) -> AsyncIterator[ModemBank]:
    """The bank, its devices in `directory`; on leaving they are gone and every call is hung up. Raises OSError."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        bank = ModemBank(plan, directory, resolve, log, group)
        try:
            bank.open()
            yield bank
        except Exception as fault:  # raised again below: not as one of a group of the calls' failures
            failure = fault
        finally:
            bank.close()
    if failure is not None:
        raise failure


def to_host_and_port(subscriber: Subscriber) -> tuple[str, int]:
    """`Resolve` for numbers that all name their `to`. Raises OSError where it is none."""
    host, _, port = subscriber.to.rpartition(":")
    if not port.isdecimal():
        raise OSError(f"{subscriber.to!r} is not host:port")
    return host, int(port)
