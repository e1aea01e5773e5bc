"""The services as processes: their environment, start, readiness and end."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import cast

from cryptography.fernet import Fernet

from mts_common.database import Statements, open_pool
from mts_gateway.clients import DEFAULT_VALID_DAYS, Clients, NewToken
from mts_stack.http import says_well
from mts_stack.postgres import ROLES, RoleUrls
from mts_stack.processes import Process, StackFault, free_ports
from mts_stack.tls import Tls

READY_SECONDS = 120.0
COMMAND_SECONDS = 60.0
STOP_SECONDS = 15.0
HEALTH_SECONDS = 10.0
LIVE_SECONDS = 1.0

# The order of starting; they are ended the other way round, so that nobody tells a service that has gone.
SERVICES = ("results", "scheduler", "gateway", "dialler")
# A second dialler, where the stack has modems.
MODEM_DIALLER = "modem-dialler"

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")


@dataclass
class Services:
    """One process of each service against one broker vhost and one database; with a file of modem lines a dialler for
    them beside the one for TCP. `settings` go over the stack's own.
    """

    directory: Path
    amqp_url: str = field(repr=False)
    database: RoleUrls
    tls: Tls
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    lines_file: Path | None = None

    def __post_init__(self) -> None:
        self.names = SERVICES if self.lines_file is None else (*SERVICES, MODEM_DIALLER)
        *ports, self._http_port = free_ports(len(self.names) + 1)
        self._ports = dict(zip(self.names, ports, strict=True))
        self._wanted: set[str] = set()
        self._key = Fernet.generate_key().decode()
        self._processes = {
            name: Process(
                name,
                [*self.program(name), "run"],
                self.directory,
                self.environment(name),
                stop_seconds=STOP_SECONDS,
            )
            for name in self.names
        }

    def program(self, name: str) -> list[str]:
        """What a service's commands are given to."""
        return [sys.executable, "-m", f"mts_{name.removeprefix('modem-')}"]

    @property
    def api_url(self) -> str:
        """The base of the public API."""
        return f"https://127.0.0.1:{self._port('gateway')}/MTS"

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """Trusts the stack's own authority alone."""
        return ssl.create_default_context(cafile=self.tls.ca)

    def process(self, name: str) -> Process:
        """The service's process, whether it runs or not."""
        return self._processes[name]

    def health_url(self, name: str) -> str:
        """Where `/health/live` and `/health/ready` of a service are."""
        return f"{'https' if name == 'gateway' else 'http'}://127.0.0.1:{self._port(name)}/health"

    def metrics_target(self, name: str) -> str:
        """Host and port where a service shows its metrics, at /metrics."""
        return f"127.0.0.1:{self._ports[name]}"

    def _port(self, name: str) -> int:
        if name == "gateway":
            return int(self.environment(name)["MTS_HTTP_PORT"])
        return self._ports[name]

    def environment(self, name: str) -> dict[str, str]:
        """All that the service is told."""
        environment = {variable: os.environ[variable] for variable in _PASSED_ON if variable in os.environ}
        environment |= {
            "PYTHONUNBUFFERED": "1",
            "MTS_METER_KEYS": self._key,
            "MTS_ALLOW_NETWORKS": "127.0.0.0/8",
            "MTS_RETRY_PAUSE_SECONDS": "5",
            "MTS_DRAIN_SECONDS": "5",
            "MTS_HTTP_PORT": str(self._http_port),
        }
        environment |= self.settings
        # What joins the parts of the stack is not for settings to change.
        environment |= {
            "MTS_AMQP_URL": self.amqp_url,
            "MTS_HEALTH_HOST": "127.0.0.1",
            "MTS_HEALTH_PORT": str(self._ports[name]),
            "MTS_HTTP_HOST": "127.0.0.1",
            "MTS_TLS_CERT": str(self.tls.certificate),
            "MTS_TLS_KEY": str(self.tls.key),
        }
        if name in ROLES:
            environment["MTS_POSTGRES_URL"] = self.database.url(name)
        if name == MODEM_DIALLER:
            environment["MTS_LINES_FILE"] = str(self.lines_file)
            environment.pop("MTS_DIALLER_LINES", None)  # it makes no TCP calls
            environment.pop("MTS_DIALLER_NAME", None)  # two may not have one name
        return environment

    def migrate(self) -> None:
        """Bring each service's schema up to date. Raises `StackFault`."""
        with ThreadPoolExecutor(len(ROLES), "migrate") as threads:
            list(threads.map(lambda name: self.run_command(name, "migrate"), ROLES))

    def run_command(self, name: str, *arguments: str) -> str:
        """Run a command of a service's own command line; its standard output. Raises `StackFault`."""
        command = f"python -m mts_{name} {' '.join(arguments)}"
        try:
            finished = subprocess.run(
                [*self.program(name), *arguments],
                env=self.environment(name),
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise StackFault(f"{command} took longer than {COMMAND_SECONDS:.0f} s") from late
        if finished.returncode:
            raise StackFault(f"{command} ended with code {finished.returncode}:\n{finished.stdout}{finished.stderr}")
        return finished.stdout

    def start(self, *names: str) -> None:
        """Start these services, or all, and wait until each says it is ready. Raises `StackFault`."""
        for name in names or self.names:
            self._processes[name].start()
            self._wanted.add(name)
        deadline = time.monotonic() + READY_SECONDS
        for name in names or self.names:
            self._processes[name].wait_ready(partial(self.ready, name), deadline - time.monotonic())

    def ready(self, name: str) -> bool:
        """Whether the service says that it is ready."""
        return says_well(f"{self.health_url(name)}/ready", HEALTH_SECONDS, self.trust)

    def alive(self, name: str) -> bool:
        """Whether the service says that it is alive, as soon as a supervisor expects it to."""
        return says_well(f"{self.health_url(name)}/live", LIVE_SECONDS, self.trust)

    def stop(self, *names: str) -> None:
        """End these services, or all, in order; diallers drain at the same time."""
        chosen = names or self.names
        self._wanted -= set(chosen)
        if len(diallers := {MODEM_DIALLER, "dialler"} & set(chosen)) > 1:
            for name in diallers:
                self._processes[name].send(signal.SIGTERM)
        for name in reversed(chosen):
            self._processes[name].stop()

    def kill(self, *names: str) -> None:
        """End these services, or all, at once (SIGKILL)."""
        self._wanted -= set(names or self.names)
        for name in names or self.names:
            self._processes[name].kill()

    def restart(self, *names: str) -> None:
        """End these services, or all, in order, and start them again."""
        self.stop(*names)
        self.start(*names)

    def check_alive(self) -> None:
        """Raises `StackFault` with the end of its log if a service that should run has ended by itself."""
        for name in sorted(self._wanted):
            process = self._processes[name]
            if not process.running:
                raise process.fault(f"ended with code {process.exit_code}")

    def create_tokens(self, client_name: str) -> tuple[str, str]:
        """Register a client of the API with two tokens: one of scope `mts`, one of scope `admin`."""
        return asyncio.run(self._create_tokens(client_name))

    async def _create_tokens(self, client_name: str) -> tuple[str, str]:
        async with open_pool(self.database.url("gateway"), "mts-stack tokens", 2) as pool:
            clients = Clients(pool, Statements("mts_gateway"))
            client = cast("int", (await clients.create_client(client_name))["clientId"])
            user, admin = [
                str((await clients.create_token(NewToken(client, (scope,), DEFAULT_VALID_DAYS, "grouped")))["token"])
                for scope in ("mts", "admin")
            ]
        return user, admin
