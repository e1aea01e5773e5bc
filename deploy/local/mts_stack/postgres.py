"""A private PostgreSQL server, and databases set up by deploy/postgres/init.sql."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from mts_stack.paths import ROOT
from mts_stack.processes import SYSTEM_PATH, Process, StackFault, find_program, free_ports, write_secret

ADMIN = "mts_admin"
ROLES = ("gateway", "scheduler", "results")
START_SECONDS = 60.0
CALL_SECONDS = 30.0

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_SYSTEM_USER = "postgres"
_RESTARTS = 5

_CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 300
timezone = 'UTC'
log_timezone = 'UTC'
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
"""


class PostgresServer:
    """A private PostgreSQL with one superuser; data and port outlast a restart.

    `durable` False trades safety in a crash of the machine for speed. start, stop and kill may be called any number of
    times, in any order.
    """

    def __init__(self, directory: Path, *, durable: bool) -> None:
        self._durable = durable
        (self._port,) = free_ports(1)
        self._password = secrets.token_hex(16)
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None
        self._data = self._data_directory(directory)
        self._folders = tuple(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
        self._server = Process(
            "postgres",
            [find_program("postgres", *self._folders), "-D", str(self._data)],
            directory,
            {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            user=self._user,
            stop_signal=signal.SIGINT,
        )

    @property
    def admin_url(self) -> str:
        """The server's own database, as superuser."""
        return f"postgresql://{ADMIN}:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int:
        """The server's first process."""
        return self._server.pid

    def _data_directory(self, directory: Path) -> Path:
        """PostgreSQL refuses to run as root, and its own user may be shut out of our directory (below /root, say)."""
        if self._user is None or _others_may_pass(directory):
            return directory / "postgres"
        # Found again by the next start, which removes what a killed one has left.
        name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"mts-postgres-{name}"

    def start(self) -> None:
        """Start it, with empty databases the first time, and wait until it serves. Raises `StackFault`."""
        if not self._data.exists():
            self._initialise()
        # After a kill the old back ends hold on to the shared memory for a moment, and a new server ends at once.
        for attempt in range(1, _RESTARTS + 1):
            self._server.start()
            try:
                self._server.wait_ready(lambda: postgres_answers(self.admin_url), START_SECONDS)
            except StackFault:
                if attempt == _RESTARTS or self._server.running:
                    raise
            else:
                return

    def _initialise(self) -> None:
        self._data.mkdir(parents=True, mode=0o700)
        password_file = self._data.with_suffix(".password")
        write_secret(password_file, self._password)
        if self._user is not None:
            shutil.chown(self._data, self._user)
            shutil.chown(password_file, self._user)
        command = [find_program("initdb", *self._folders), "-D", str(self._data), "-U", ADMIN, "-A", "scram-sha-256"]
        command += [f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        environment = {"PATH": SYSTEM_PATH}
        try:
            subprocess.run(
                command,
                user=self._user,
                env=environment,
                cwd="/",
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=START_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise StackFault(f"initdb failed:\n{error.stdout.decode(errors='replace')}") from error
        finally:
            password_file.unlink()
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_CONFIG.format(port=self._port, durable="on" if self._durable else "off"))

    def stop(self) -> None:
        """End it in order; clients are cut off."""
        self._server.stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._server.kill()

    def remove(self) -> None:
        """End it for good, with its data."""
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)


def _others_may_pass(directory: Path) -> bool:
    directory.mkdir(parents=True, exist_ok=True)
    resolved = directory.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents))


@dataclass(frozen=True)
class RoleUrls:
    """A database that init.sql has set up: who may come in, and how."""

    admin_url: str = field(repr=False)
    _passwords: dict[str, str] = field(repr=False)

    def url(self, role: str) -> str:
        """The connection of `gateway`, `scheduler` or `results` as its own role."""
        parts = urlsplit(self.admin_url)
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"mts_{role}:{self._passwords[role]}@{place}"))


def create_database(server_url: str, name: str) -> RoleUrls:
    """Create a database and set it up with init.sql; what `server_url` names stays as it is.

    The roles belong to the whole server: their passwords are derived from the administrator's, so that test runs side
    by side on one server agree about them.
    """
    passwords = {role: hashlib.sha256(f"{role} {server_url}".encode()).hexdigest()[:32] for role in ROLES}
    admin_url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    script = _with_values(
        (ROOT / "deploy" / "postgres" / "init.sql").read_text("utf-8"),
        {"DBNAME": name, **{f"{role}_password": password for role, password in passwords.items()}},
    )

    async def create(server: Connection) -> None:
        # One at a time on one server: init.sql changes roles, which all its databases share.
        await server.execute("SELECT pg_advisory_lock(hashtext('mts init'))")
        await server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        await _with_connection(admin_url, lambda database: database.execute(script))

    _run(_with_connection(server_url, create))
    return RoleUrls(admin_url, passwords)


def drop_database(server_url: str, name: str) -> None:
    """Drop a database and cut off who still uses it."""
    _run(_with_connection(server_url, lambda server: server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')))


def _with_values(script: str, values: dict[str, str]) -> str:
    """What psql does with `:'name'` and `:"name"`: the value as a literal, or as an identifier."""
    for name, value in values.items():
        script = script.replace(f":'{name}'", "'" + value.replace("'", "''") + "'")
        script = script.replace(f':"{name}"', '"' + value.replace('"', '""') + '"')
    return script


async def _with_connection(url: str, work: Callable[[Connection], Awaitable[object]]) -> None:
    async with asyncio.timeout(CALL_SECONDS):
        connection = await asyncpg.connect(url)
        try:
            await work(connection)
        finally:
            await connection.close()


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end on a loop of its own, also where the caller's thread has one."""
    with ThreadPoolExecutor(1, "postgres") as thread:
        thread.submit(asyncio.run, work).result()


def postgres_answers(url: str) -> bool:
    """Whether that server lets us in."""
    try:
        _run(_with_connection(url, lambda server: server.execute("SELECT 1")))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True
