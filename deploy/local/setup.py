"""Makes this checkout ready to run: system packages where they are missing, `.venv`, the locked packages, our own.

Run by every target of the Makefile; does nothing where all is in place. Needs Python >= 3.11 and nothing else. With
`--tests` also what the tests alone need.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "mts-setup.stamp"
LOCK = ROOT / "requirements" / "all.lock"
PACKAGES = (
    "libs/common",
    "libs/client",
    "services/gateway",
    "services/scheduler",
    "services/dialler",
    "services/results",
    "services/metersim",
    "deploy/local",
)
OLDEST_PYTHON = (3, 11)
_POLICY = Path("/usr/sbin/policy-rc.d")


class CannotSetUp(Exception):
    """What is missing and how to get it."""


def main() -> int:
    """Set up; 0, or 1 after saying what is missing."""
    try:
        set_up(tests="--tests" in sys.argv[1:])
    except CannotSetUp as fault:
        print(f"set-up: {fault}", file=sys.stderr)
        return 1
    return 0


def set_up(*, tests: bool) -> None:
    """Raises `CannotSetUp`."""
    if sys.version_info < OLDEST_PYTHON:
        raise CannotSetUp(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; try make PYTHON=python3.11"
        )
    missing = missing_packages(tests=tests)
    if missing:
        install(missing)
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text("utf-8") == wanted:
        return
    print("set-up: installing the locked Python packages into .venv", flush=True)
    if not (VENV / "bin" / "python").exists():
        venv.create(VENV, with_pip=True)
    pip("install", "--no-deps", "--require-hashes", "-r", str(LOCK))
    editable = [argument for package in PACKAGES for argument in ("-e", str(ROOT / package))]
    pip("install", "--no-deps", "--no-build-isolation", *editable)
    STAMP.write_text(wanted, "utf-8")


def missing_packages(*, tests: bool) -> list[str]:
    """The Debian packages whose programs are not on this machine."""
    missing = []
    if importlib.util.find_spec("ensurepip") is None:
        missing.append(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    if docker_answers():
        return missing
    if not (Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists() or shutil.which("rabbitmq-server")):
        missing.append("rabbitmq-server")
    if not (any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb")):
        missing.append("postgresql")
    if tests and not (shutil.which("prometheus") and shutil.which("promtool")):
        missing.append("prometheus")
    return missing


def docker_answers() -> bool:
    """Whether a Docker engine serves this user: then RabbitMQ and PostgreSQL come from there."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def install(packages: list[str]) -> None:
    """Install Debian packages, without their services being started. Raises `CannotSetUp` where we may not."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise CannotSetUp(
            f"missing: {names} (as Debian calls them). Install RabbitMQ (3.10 or newer) and PostgreSQL (15 or newer), "
            "for the tests Prometheus (2.42 or newer), or start a Docker engine, and run this again"
        )
    if os.geteuid() != 0:
        raise CannotSetUp(f"missing: {names}. Run this once, then try again:\n\n  sudo apt-get install {names}\n")
    print(f"set-up: apt-get install {names}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with services_kept_off():
        for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
            finished = subprocess.run(
                ["apt-get", *command], env=environment, capture_output=True, text=True, check=False
            )
            if finished.returncode:
                raise CannotSetUp(f"apt-get {' '.join(command)} failed:\n{finished.stdout}{finished.stderr}")


@contextmanager
def services_kept_off() -> Iterator[None]:
    """Debian starts a server when its package is installed, unless this policy file says no. One that exists stays."""
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n", "utf-8")
        _POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            _POLICY.unlink(missing_ok=True)


def fingerprint() -> str:
    """Changes whenever the installed packages must."""
    digest = hashlib.sha256(f"{sys.version} {VENV}".encode())
    for file in (LOCK, *(ROOT / package / "pyproject.toml" for package in PACKAGES)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def pip(*arguments: str) -> None:
    """Raises `CannotSetUp` if pip fails; it has said why."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise CannotSetUp("pip failed, as said above")


if __name__ == "__main__":
    sys.exit(main())
