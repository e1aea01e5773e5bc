"""A fleet of meters on TCP ports of one process."""

import asyncio
import itertools
import json
import os
import resource
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from mts_metersim.clock import Nanoseconds
from mts_metersim.faults import CLOSE_SECONDS, HungUp, Outlet
from mts_metersim.fleet import FaultKind, Meter
from mts_metersim.log import CallLog
from mts_metersim.port import Call
from mts_metersim.unit import Unit

READ_BYTES = 4096
OPEN_SECONDS = 10.0
CALL_SECONDS = 6 * 3600.0
MAX_UNREAD = 64
MAX_ASKED = 200


class Port:
    """One listener and the meters behind it. It takes one connection at a time; a second is logged and closed."""

    def __init__(
        self, units: Sequence[Unit], log: CallLog, group: asyncio.TaskGroup, ids: "itertools.count[int]"
    ) -> None:
        self._units = units
        self._log = log
        self._group = group
        self._ids = ids
        self._speaking: Outlet | None = None
        self._free = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def named_port(self) -> int:
        """The port that the fleet file gives to this line, 0 if none."""
        return max(unit.meter.port for unit in self._units)

    async def open(self, host: str, port: int) -> None:
        """Listens; port 0 takes a free one. Raises OSError."""
        async with asyncio.timeout(OPEN_SECONDS):
            self._server = await asyncio.start_server(self._connected, host, port, limit=READ_BYTES, backlog=16)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stops listening and ends every call."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.transport.abort()
            return
        number = next(self._ids)
        serving = self._serve(number, reader, writer)
        task = self._group.create_task(serving, name=f"port {self.port} connection {number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outlet = Outlet(writer)
        peer = "{}:{}".format(*writer.get_extra_info("peername", ("?", 0))[:2])
        facts = {"connection": number, "port": self.port, "peer": peer}
        await self._last_one_out()
        if self._speaking is not None:
            self._log.write("busy", **facts)
            await outlet.close()
            return
        self._speaking = outlet
        self._free.clear()
        self._log.write("connection_start", **facts)
        journal = Journal(self._log, facts)
        try:
            await self._converse(reader, outlet, journal)
        finally:
            journal.finish()
            self._speaking = None
            self._free.set()
            await outlet.close()

    async def _last_one_out(self) -> None:
        """A caller that has hung up is no longer there, even if this side has not finished with it yet."""
        if self._speaking is not None and self._speaking.peer_is_gone:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._free.wait()

    async def _converse(self, reader: asyncio.StreamReader, outlet: Outlet, journal: "Journal") -> None:
        """Reads all the time, so that a hang-up is noticed in the middle of a long reply too."""
        inbox: asyncio.Queue[bytes] = asyncio.Queue(MAX_UNREAD)
        call = Call(self._units, journal.signed_on, journal.asked)
        async with asyncio.TaskGroup() as both:
            listening = both.create_task(_listen(reader, outlet, inbox), name=f"port {self.port} listening")
            try:
                with suppress(HungUp):
                    await self._answer(call, outlet, inbox)
            finally:
                listening.cancel()

    async def _answer(self, call: Call, outlet: Outlet, inbox: "asyncio.Queue[bytes]") -> None:
        """Until the peer hangs up or is idle for too long. Raises HungUp."""
        echoes = any(unit.meter.fault(FaultKind.ECHO) for unit in self._units)
        while True:
            try:
                async with asyncio.timeout(call.patience):
                    data = await inbox.get()
            except TimeoutError:
                if not call.silence():
                    return
                continue
            if not data:
                return
            if echoes:
                await outlet.raw(data)
                continue
            for unit, reply in call.receive(data):
                await outlet.send(unit, reply)


async def _listen(reader: asyncio.StreamReader, outlet: Outlet, inbox: "asyncio.Queue[bytes]") -> None:
    """Pieces as they come, b"" when the peer has gone; pieces that nobody takes count as a peer to hang up on."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            while data := await reader.read(READ_BYTES):
                inbox.put_nowait(data)
    except (ConnectionError, TimeoutError, asyncio.QueueFull):
        pass
    outlet.lose_peer()
    with suppress(asyncio.QueueFull):
        inbox.put_nowait(b"")


class Journal:
    """What one connection leaves in the log."""

    def __init__(self, log: CallLog, facts: dict[str, object]) -> None:
        self._log = log
        self._facts = facts
        self._serial: str | None = None
        self._asked: list[str] = []
        self._wrong_passwords = 0

    def signed_on(self, address: str, unit: Unit | None) -> None:
        self._serial = None if unit is None else unit.meter.serial_number
        self._log.write("sign_on", **self._facts, address=address, serial=self._serial)

    def asked(self, what: str, wrong_password: bool) -> None:
        if wrong_password or what.startswith("P"):
            self._wrong_passwords += wrong_password
            self._log.write("password", **self._facts, serial=self._serial, asked=what, wrong=wrong_password)
        if len(self._asked) < MAX_ASKED:
            self._asked.append(what)

    def finish(self) -> None:
        self._log.write(
            "connection_end",
            **self._facts,
            serial=self._serial,
            asked=self._asked,
            wrong_passwords=self._wrong_passwords,
        )


class FleetServer:
    """All ports of a fleet; see `running`."""

    def __init__(self, units: Sequence[Unit], log: CallLog, group: asyncio.TaskGroup) -> None:
        self.units = units
        ids = itertools.count(1)
        lines: dict[str, list[Unit]] = {}
        for unit in units:
            lines.setdefault(unit.meter.line, []).append(unit)
        self._ports = {line: Port(sharing, log, group, ids) for line, sharing in lines.items()}

    async def open(self, host: str, port_base: int | None) -> None:
        for index, port in enumerate(self._ports.values()):
            await port.open(host, port.named_port if port_base is None else port_base + index)

    def close(self) -> None:
        for port in self._ports.values():
            port.close()

    def port_of(self, unit: Unit) -> int:
        """The TCP port behind which a meter answers."""
        return self._ports[unit.meter.line].port

    def ready(self, host: str) -> list[dict[str, Any]]:
        """The meters as the ready file lists them."""
        return [
            {
                "meterType": unit.meter.meter_type,
                "remoteAddress": f"{host}:{self.port_of(unit)}",
                "outstationAddress": unit.meter.outstation_address,
                "serialNumber": unit.meter.serial_number,
                "password": unit.meter.password,
                "fault": unit.meter.label,
                "zone": unit.meter.clock.zone,
            }
            for unit in self.units
        ]


@asynccontextmanager
async def running(
    meters: Sequence[Meter],
    log: CallLog,
    host: str = "127.0.0.1",
    port_base: int | None = None,
    true_time: Nanoseconds = time.time_ns,
) -> AsyncIterator[FleetServer]:
    """The meters, listening: from `port_base` on in the order of the fleet, else on the ports that it names, 0 = a free
    one. On leaving, every call is hung up. Raises OSError where a port is taken."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as group:
        server = FleetServer([Unit(meter, true_time) for meter in meters], log, group)
        try:
            await server.open(host, port_base)
            yield server
        except Exception as fault:  # raised again below: not as one of a group of the calls' failures
            failure = fault
        finally:
            server.close()
    if failure is not None:
        raise failure


def allow_many_sockets() -> None:
    """Raises this process's limit of open files as far as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def write_atomically(path: Path, content: object) -> None:
    """JSON that a reader sees whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
