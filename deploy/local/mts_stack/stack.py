"""The whole of MTS on one machine, in one directory: servers, services and a simulated fleet, and their common end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from mts_common.catalogue import CATALOGUE
from mts_metersim.fleet import Meter
from mts_stack.fleet import Fleet, Simulator
from mts_stack.modems import Bank, Modems
from mts_stack.postgres import RoleUrls, create_database
from mts_stack.processes import StackFault, end_leftovers, is_alive, wait_until, write_pid_file, write_secret
from mts_stack.servers import Servers, local_servers
from mts_stack.services import Services
from mts_stack.tls import make_tls

DATABASE = "mts"
STACK_FILE = "stack.json"
WATCH_SECONDS = 0.2
DOWN_SECONDS = 90.0

_OWN_PID_FILE = Path("run") / "stack.pid"
# What a start makes anew; whatever else stands in the directory is not ours.
_FOLDERS = ("log", "tls", "fleet", "modems")


@dataclass(frozen=True)
class Description:
    """What stack.json says (architecture.md, "Starting it"). `ca` is relative to the folder that holds the stack's."""

    gateway: str
    ca: str
    token: str = field(repr=False)
    admin_token: str = field(repr=False)
    amqp: str = field(repr=False)
    postgres: str = field(repr=False)
    console: str | None
    meters: list[dict[str, Any]] = field(repr=False)
    faulty_meters: list[dict[str, Any]] = field(repr=False)


class Stack:
    """Start, watch and stop it from the main thread. Every start begins with empty servers.

    `bank`: a plan of modems and the meters behind them.
    """

    def __init__(self, directory: Path, meters: Sequence[Meter], bank: Bank | None = None) -> None:
        self.directory = directory.absolute()
        self.fleet = Fleet(self.directory, meters)
        self._modems = None if bank is None else Modems(self.directory, *bank)
        self._claimed = False
        self._servers: Servers | None = None
        self._services: Services | None = None

    @property
    def services(self) -> Services:
        """The running services. Raises `StackFault` before `start`."""
        if self._services is None:
            raise StackFault("the stack was not started")
        return self._services

    @property
    def modems(self) -> Modems:
        """The modem bank. Raises `StackFault` if the stack was made without."""
        if self._modems is None:
            raise StackFault("this stack has no modems")
        return self._modems

    @property
    def _simulators(self) -> list[Simulator]:
        return [self.fleet] if self._modems is None else [self.fleet, self._modems]

    def prepare(self) -> None:
        """Start the servers and the simulated meters. Raises `StackFault`; then call `stop`."""
        self._claim()
        self._servers = local_servers(self.directory, durable=True)
        self._servers.remove()
        for simulator in self._simulators:
            simulator.start()
        self._servers.start()
        for simulator in self._simulators:
            simulator.wait_ready()

    def start(self, settings: Mapping[str, str]) -> Description:
        """Start the services with these settings over the stack's own and wait until all is ready; stack.json is
        written last. Raises `StackFault`; then call `stop`.
        """
        servers = self._servers
        if servers is None:
            raise StackFault("prepare the stack before it is started")
        database = create_database(servers.postgres_admin_url, DATABASE)
        tls = make_tls(self.directory / "tls")
        lines_file = None if self._modems is None else self._modems.lines_file
        self._services = Services(self.directory, servers.amqp_url, database, tls, settings, lines_file)
        self._services.migrate()
        self._services.start()
        description = self._describe(self._services, servers, database)
        self._write(description)
        return description

    def _claim(self) -> None:
        own = self.directory / _OWN_PID_FILE
        if is_alive(own):
            raise StackFault(f"a stack runs in {self.directory} already; `make down` ends it")
        end_leftovers(self.directory)
        for folder in _FOLDERS:
            shutil.rmtree(self.directory / folder, ignore_errors=True)
        write_pid_file(own, os.getpid())
        self._claimed = True

    def _describe(self, services: Services, servers: Servers, database: RoleUrls) -> Description:
        token, admin_token = services.create_tokens("local stack")
        meters = [meter for simulator in self._simulators for meter in simulator.meters]
        faulty = [meter for simulator in self._simulators for meter in simulator.faulty_meters]
        without_survey = [meter for meter in meters if not CATALOGUE[meter["meterType"]].keeps_survey]
        return Description(
            gateway=services.api_url,
            ca=str(Path(self.directory.name) / "tls" / services.tls.ca.name),
            token=token,
            admin_token=admin_token,
            amqp=servers.amqp_url,
            postgres=database.admin_url,
            console=None,
            meters=[meter for meter in meters if meter not in without_survey],
            faulty_meters=without_survey + faulty,
        )

    def _write(self, description: Description) -> None:
        draft = self.directory / f"{STACK_FILE}.new"
        write_secret(draft, json.dumps(asdict(description), indent=2) + "\n")
        draft.replace(self.directory / STACK_FILE)

    def watch(self) -> NoReturn:
        """Never return; raise `StackFault` with the end of its log when a process of the stack has ended."""
        while True:
            self.check_alive()
            time.sleep(WATCH_SECONDS)

    def check_alive(self) -> None:
        """Raises `StackFault` with the end of its log if a process of the stack has ended."""
        self.services.check_alive()
        for process in (simulator.process for simulator in self._simulators):
            if not process.running:
                raise process.fault(f"ended with code {process.exit_code}")

    def stop(self) -> None:
        """End everything that was started, in order and in bounded time; may be called at any moment, and again."""
        if not self._claimed:
            return
        (self.directory / STACK_FILE).unlink(missing_ok=True)
        if self._services is not None:
            self._services.stop()
        for simulator in self._simulators:
            simulator.stop()
        if self._servers is not None:
            self._servers.remove()
        (self.directory / _OWN_PID_FILE).unlink(missing_ok=True)


def stop_other(directory: Path) -> bool:
    """End the stack that runs in that directory, started by whichever shell; False if there was none.

    What a stack that was itself killed has left behind is ended too.
    """
    own = directory.absolute() / _OWN_PID_FILE
    found = is_alive(own)
    if found:
        with suppress(ProcessLookupError):
            os.kill(int(own.read_text("utf-8").split()[0]), signal.SIGTERM)
        wait_until(lambda: not is_alive(own), DOWN_SECONDS)
    left = end_leftovers(directory)
    local_servers(directory, durable=True).remove()
    (directory / STACK_FILE).unlink(missing_ok=True)
    return found or bool(left)
