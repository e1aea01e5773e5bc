"""Child processes that never outlive us: own process group, pid file, log, and an end in bounded time."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

# Below the range from which Linux takes the ports of outgoing connections, which could otherwise take one first.
_PORTS = range(20_000, 32_000)
_POLL_SECONDS = 0.05

# Runs after the death signal is set: a parent that died before that moment would go unnoticed otherwise.
_UNLESS_ORPHAN = 'test "$PPID" = "$0" && exec "$@"'

# The programs of the system folders are found even where the caller's PATH leaves them out.
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])


class StackFault(Exception):
    """Something that the stack needs is missing, did not start, or died. The text is for the person who started it."""


class _Reservations:
    """The ports that this process has taken: each a locked byte of one file, which the system frees when we end.

    Between finding a port free and a child's listening on it another stack or test run could find the same.
    """

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._file = -1

    def take(self, port: int) -> bool:
        """Whether the port is now ours, and was nobody's."""
        if self._file < 0:
            path = Path(tempfile.gettempdir()) / f"mts-ports-{os.getuid()}"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if port in self._taken:
            return False
        with suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            self._taken.add(port)
            return True
        return False


_reservations = _Reservations()


def free_ports(count: int) -> list[int]:
    """That many different TCP ports of this machine's loopback address that nobody listens on or has been given."""
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(ports) == count:
                return ports
            listener = held.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                listener.bind(("127.0.0.1", port))
                if _reservations.take(port):
                    ports.append(port)
    raise StackFault(f"this machine has no {count} free TCP ports from {_PORTS.start} to {_PORTS.stop}")


def listens(port: int) -> bool:
    """Whether something accepts connections on that port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5.0).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until the condition holds; False if it does not within that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def find_program(name: str, *folders: Path) -> str:
    """The path of a program from the folders, else from PATH. Raises `StackFault` if there is none."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), SYSTEM_PATH]))
    if found is None:
        raise StackFault(f"{name} is not installed; `make setup` installs it or says what to install")
    return found


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text, "utf-8")


def started_at(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None if there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def write_pid_file(file: Path, pid: int) -> None:
    """Note a process by its number and start time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{pid} {started_at(pid)}\n", "utf-8")


def is_alive(pid_file: Path) -> bool:
    """Whether the process that the file notes still runs; another one that has got its number does not count."""
    try:
        number, _, started = pid_file.read_text("utf-8").strip().partition(" ")
    except FileNotFoundError:
        return False
    return number.isdecimal() and started_at(int(number)) == started


@dataclass
class Process:
    """A program of ours. It gets `stop_signal` when this process dies, however that happens.

    `user`: run as that user (only where we are root). Not safe to share between threads; start it from the main one,
    because the death signal is bound to the thread that started the program.
    """

    name: str
    command: Sequence[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 30.0
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def log(self) -> Path:
        """Where standard output and error go; each start adds to it."""
        return self.directory / "log" / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Holds the process number and its start time while the process runs."""
        return self.directory / "run" / f"{self.name}.pid"

    @property
    def pid(self) -> int:
        """The process number. Raises `StackFault` if it was never started."""
        if self._popen is None:
            raise StackFault(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; the negative signal number if a signal ended it."""
        return None if self._popen is None else self._popen.poll()

    def start(self) -> None:
        """Start it, if it does not run."""
        if self.running:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*self._bound_to_us(), *self.command],
                cwd="/",
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        write_pid_file(self.pid_file, self.pid)

    def _bound_to_us(self) -> list[str]:
        command = [find_program("setpriv"), "--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        if self.user is not None:
            command += ["--reuid", self.user, "--regid", self.user, "--init-groups"]
        return [*command, "--", "/bin/sh", "-c", _UNLESS_ORPHAN, str(os.getpid())]

    def stop(self) -> None:
        """Ask it to end, wait, and kill it if it does not within `stop_seconds`. Nothing happens if it has ended."""
        if self.running:
            self.send(self.stop_signal)
            if not wait_until(lambda: not self.running, self.stop_seconds):
                self.kill()
        self._forget()

    def kill(self) -> None:
        """End it and its process group at once (SIGKILL)."""
        if self._popen is not None and self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait(timeout=10.0)
        self._forget()

    def _forget(self) -> None:
        self.pid_file.unlink(missing_ok=True)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-lines:])

    def fault(self, what: str) -> StackFault:
        """The error that says what happened to it, with the end of its log."""
        return StackFault(f"{self.name} {what}. The end of {self.log}:\n{self.log_tail()}")

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()`. Raises `StackFault` with the end of the log if it dies first or takes longer."""
        if not wait_until(lambda: not self.running or ready(), seconds):
            raise self.fault(f"was not ready after {seconds:.0f} s")
        if not self.running:
            raise self.fault(f"ended with code {self.exit_code}")


def end_leftovers(directory: Path, grace_seconds: float = 10.0) -> list[str]:
    """End what the pid files in `directory/run` name and still runs; the names of what was ended.

    A process that only has the number of one of ours is left alone.
    """
    left = [file for file in sorted((directory / "run").glob("*.pid")) if is_alive(file)]
    for ending in (signal.SIGTERM, signal.SIGKILL):
        for file in filter(is_alive, left):
            with suppress(ProcessLookupError):
                os.kill(int(file.read_text("utf-8").split()[0]), ending)
        if wait_until(lambda: not any(map(is_alive, left)), grace_seconds):
            break
    for file in (directory / "run").glob("*.pid"):
        file.unlink(missing_ok=True)
    return [file.stem for file in left]
