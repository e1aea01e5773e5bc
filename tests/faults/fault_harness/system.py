"""The whole platform under faults: every service process, behind proxies to its servers, with simulated meters."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from fault_harness.armed import Failpoints
from fault_harness.proxy import Proxy
from mts_metersim.fleet import Fault, FaultKind, Meter
from mts_metersim.presets import fleet
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.http import says_well
from mts_stack.postgres import ROLES
from mts_stack.processes import Process, free_ports, wait_until
from mts_stack.servers import GivenServer, Server, Servers
from mts_stack.testing import StackUnderTest

DATABASE_SECONDS = 30.0
CALL_SECONDS = 5.0
LOOK_SECONDS = 0.1
LOCK_SECONDS = 100.0
READY_SECONDS = 120.0
QUICK, TOGETHER, SLOW = 20, 4, 4
LEASE_SECONDS = 5.0  # on a busy machine a sign of life every half second may be late by seconds
MAX_TRIES = 3

SETTINGS = {
    "MTS_LEASE_SECONDS": str(LEASE_SECONDS),
    "MTS_ALIVE_SECONDS": "0.5",
    "MTS_QUARANTINE_SECONDS": "1",
    "MTS_RETRY_PAUSE_SECONDS": "0.3",
    "MTS_MAX_TRIES": str(MAX_TRIES),
    "MTS_SETTLE_AFTER_SECONDS": "1",
    "MTS_DIALLER_LINES": "8",
    "MTS_REPLY_SECONDS": "2",
    "MTS_CHARACTER_SECONDS": "1",
    "MTS_TEST_SECONDS": "30",
    "MTS_WANT_SECONDS": "1",
    "MTS_STATEMENT_SECONDS": "5",
    "MTS_DRAIN_SECONDS": "3",
    "MTS_ALLOW_NETWORKS": "127.0.0.1/32",
}

Result = TypeVar("Result")


def seed() -> int:
    """MTS_FAULT_SEED, or a new one."""
    given = os.environ.get("MTS_FAULT_SEED")
    return secrets.randbelow(10**9) if given is None else int(given)


def meters_for_faults() -> list[Meter]:
    """Quick healthy meters, four on one line, slow ones, and one of each fault that a test ends by."""
    meters = fleet("bulk", 80)
    quick, rest = meters[:QUICK], meters[QUICK:]
    together = [
        replace(meter, line="together", outstation_address=f"{place + 1:03d}")
        for place, meter in enumerate(rest[:TOGETHER])
    ]
    rest = rest[TOGETHER:]
    slow = [replace(meter, faults=(Fault(FaultKind.LATENCY, 250),)) for meter in rest[:SLOW]]
    locked = [meter for meter in rest[SLOW:] if meter.meter_type == "ELSTERA1700"]
    faults = [
        Fault(FaultKind.REFUSES_PASSWORD),
        Fault(FaultKind.REFUSES_PASSWORD),
        Fault(FaultKind.SILENT),
        Fault(FaultKind.GARBAGE),
        Fault(FaultKind.DROPS_LINE, 300, once=True),
        Fault(FaultKind.WRONG_SERIAL),
        Fault(FaultKind.WRONG_BCC, 1),
        Fault(FaultKind.ECHO),
    ]
    faulty = [replace(meter, faults=(fault,)) for meter, fault in zip(locked, faults, strict=False)]
    return [*quick, *together, *slow, *faulty]


@contextmanager
def down(server: Server) -> Iterator[None]:
    """A server that has died and is started again afterwards, with its data."""
    server.kill()
    try:
        yield
    finally:
        server.start()


class Trespass:
    """Listens where no test may dial, and counts who does."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.2", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self.calls = 0
        self._thread = threading.Thread(target=self._count, name="trespass", daemon=True)
        self._thread.start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                self._listener.accept()[0].close()
                self.calls += 1

    def close(self) -> None:
        """Stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)


class System:
    """A context manager. `amqp` and `postgres` are the proxies, `failpoints` those of every process.

    `verified` says that the checker has found all in order at the end of a test; `poison` is how many dead letters are
    to be found then; `dialled_as` names the telephone number, in canonical form, of a meter's address that has one.
    """

    def __init__(
        self,
        servers: Servers,
        directory: Path,
        meters: Sequence[Meter] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.servers = servers
        self.failpoints = Failpoints(directory / "failpoints")
        self._directory = directory
        self._meters = meters_for_faults() if meters is None else meters
        own = {"MTS_FAILPOINTS": str(self.failpoints.directory), "MTS_RUN_WINDOWS": _far_window()}
        self._settings = {**SETTINGS, **own, **(settings or {})}
        self._everything = ExitStack()
        self._more: dict[str, Process] = {}
        self.trespass = Trespass()
        self.max_tries = int(self._settings["MTS_MAX_TRIES"])
        self.verified = False
        self.poison = 0
        self.dialled_as: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.callback(self.trespass.close)
            self.database = opened.enter_context(fresh_database(self.servers))
            # The tests' server may forget commits when it is killed, unless told otherwise.
            name = urlsplit(self.database.admin_url).path.removeprefix("/")
            self.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
            self.management = opened.enter_context(fresh_vhost(self.servers))
            self.amqp = opened.enter_context(_proxy(self.servers.amqp_url))
            self.postgres = opened.enter_context(_proxy(self.servers.postgres_admin_url))
            behind = Servers(
                GivenServer(self.servers.amqp_admin_url, _through(self.amqp, self.servers.amqp_url)),
                self.servers.database,
            )
            database = replace(self.database, admin_url=_through(self.postgres, self.database.admin_url))
            opened.callback(self._end_more)
            self.stack = opened.enter_context(
                StackUnderTest(self._directory, behind, database, self.management, self._meters, self._settings)
            )
            self._everything = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._everything.close()

    # --- processes

    def another(self, service: str, **settings: str) -> Process:
        """One more process of a service, started; it lasts until `end`, and has a failpoint directory of its own."""
        first = self.stack.services.process(service)
        name = f"{service}-{len(self._more) + 2}"
        (port,) = free_ports(1)
        directory = Failpoints(self._directory / f"failpoints-{name}").directory
        own = {"MTS_HEALTH_PORT": str(port), "MTS_FAILPOINTS": str(directory)}
        environment: Mapping[str, str] = {**first.environment, **own, **settings}
        process = Process(name, first.command, first.directory, environment, stop_seconds=10.0)
        process.start()
        process.wait_ready(lambda: says_well(f"http://127.0.0.1:{port}/health/ready", CALL_SECONDS), READY_SECONDS)
        self._more[name] = process
        return process

    def failpoints_of(self, process: Process) -> Failpoints:
        """Those of a process from `another`."""
        return Failpoints(Path(process.environment["MTS_FAILPOINTS"]))

    def end(self, process: Process) -> None:
        """End a process from `another`."""
        process.stop()
        self._more.pop(process.name, None)

    def _end_more(self) -> None:
        for process in list(self._more.values()):
            self.end(process)

    def heal(self) -> None:
        """End every fault: all that should run runs and is ready."""
        self.failpoints.disarm()
        self.amqp.resume()
        self.postgres.resume()
        self._end_more()
        self.stack.services.start()

    def until_killed(self, step: str, service: str, seconds: float = 30.0) -> None:
        """Wait until a service has come to a step that is armed with `kill`, and is gone. Raises AssertionError."""
        process = self.stack.services.process(service)
        if not wait_until(lambda: self.failpoints.reached(step) and not process.running, seconds):
            raise AssertionError(f"{service} did not come to {step} within {seconds:.0f} s")

    # --- what is known

    @property
    def logs(self) -> list[Path]:
        """The logs of all the services' processes there were."""
        return sorted((self._directory / "log").glob("*.log"))

    def meter(self, fault: str | None = None, place: int = 0) -> dict[str, Any]:
        """A meter of the fleet by what is special about it; None = healthy."""
        return [meter for meter in self.stack.fleet.ready() if meter["fault"] == fault][place]

    def query(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows, as superuser and past the proxy."""

        async def ask(connection: asyncpg.Connection[asyncpg.Record]) -> list[asyncpg.Record]:
            return await connection.fetch(statement, *arguments)

        rows: list[asyncpg.Record] = self.with_database(ask)
        return rows

    def dead_letters(self) -> list[asyncpg.Record]:
        """What has been put aside by any service, oldest first."""
        tables = " UNION ALL ".join(
            f"SELECT queue, kind, reason, body, died_at FROM {schema}.dead_letter"  # noqa: S608
            for schema in ROLES
        )
        return self.query(f"{tables} ORDER BY died_at")

    def execute(self, statement: str) -> None:
        """Run a statement as superuser."""
        self.with_database(lambda connection: connection.execute(statement))

    def value(self, statement: str, *arguments: object) -> Any:
        """The first column of the first row."""
        return self.query(statement, *arguments)[0][0]

    def with_database(self, work: Any) -> Any:
        """The result of a coroutine function that is given a connection."""

        async def run() -> Any:
            async with asyncio.timeout(DATABASE_SECONDS):
                connection = await asyncpg.connect(self.database.admin_url)
                try:
                    return await work(connection)
                finally:
                    await connection.close()

        return run_apart(run())

    def calls_of(self, meter: Mapping[str, Any], event: str = "connection_start") -> list[dict[str, Any]]:
        """What the simulator has logged of that kind on the meter's port."""
        port = int(str(meter["remoteAddress"]).rpartition(":")[2])
        return [call for call in self.stack.fleet.calls() if call["port"] == port and call["event"] == event]


@contextmanager
def locked(system: System, table: str) -> Iterator[None]:
    """A table that nobody else gets at, from a session of our own."""
    held, release = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(system.database.admin_url)
        try:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                held.set()
                await asyncio.to_thread(release.wait, LOCK_SECONDS)
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()), name="lock")
    thread.start()
    try:
        if not held.wait(DATABASE_SECONDS):
            raise AssertionError(f"{table} cannot be locked")
        yield
    finally:
        release.set()
        thread.join(DATABASE_SECONDS)


def run_apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end on a loop of its own."""
    return asyncio.run(work)


def shuffled(choice: random.Random, items: Sequence[Result]) -> list[Result]:
    """The items in an order that the generator chooses."""
    return choice.sample(items, len(items))


def _far_window() -> str:
    """A minute, twelve hours from now: what waits for it is not to be dialled by any test."""
    opens = datetime.now(UTC) + timedelta(hours=12)
    window = {"opens": f"{opens:%H:%M}", "closes": f"{opens + timedelta(minutes=1):%H:%M}", "zone": "UTC"}
    return json.dumps([window])


def _proxy(url: str) -> Proxy:
    parts = urlsplit(url)
    return Proxy(parts.hostname or "127.0.0.1", parts.port or 0)


def _through(proxy: Proxy, url: str) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}"))


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for what a test needs to go on. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(LOOK_SECONDS)
