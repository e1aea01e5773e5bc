"""`make up`, `make down` and `make demo`: what they promise while they run, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mts_client.config import read_stack
from mts_common.catalogue import CATALOGUE
from mts_stack.processes import wait_until

READY_SECONDS = 180.0
END_SECONDS = 30.0


class Shell:
    """`python -m mts_stack` in a directory of its own, as a person's shell runs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {**os.environ, "MTS_LOCAL_DIR": str(directory)}
        self.up: subprocess.Popen[str] | None = None

    def start_up(self) -> subprocess.Popen[str]:
        self.up = subprocess.Popen(
            [sys.executable, "-m", "mts_stack", "up"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running = self.up
        assert wait_until(lambda: self.stack_file.exists() or running.poll() is not None, READY_SECONDS)
        if running.poll() is not None:
            raise AssertionError(f"it ended with {running.returncode}:\n{running.communicate()[0]}")
        return running

    def run(self, command: str, seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mts_stack", command],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    @property
    def stack_file(self) -> Path:
        return self.directory / "stack.json"

    def description(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(self.stack_file.read_text("utf-8"))
        return described


def everything_below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The stack's processes; fewer than the services would mean that the test looks in the wrong place."""
    found = psutil.Process(process.pid).children(recursive=True)
    assert len(found) >= 8
    return found


def all_gone(processes: list[psutil.Process]) -> bool:
    return wait_until(lambda: not any(each.is_running() for each in processes), END_SECONDS)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "local")
    yield shell
    if shell.up is not None:
        shell.up.terminate()
        shell.up.communicate(timeout=END_SECONDS)
    shell.run("down", END_SECONDS)


def test_up_describes_itself_and_ctrl_c_leaves_nothing(shell: Shell) -> None:
    up = shell.start_up()
    description = shell.description()

    assert set(description) == {
        *("gateway", "ca", "token", "admin_token", "amqp", "postgres", "console", "meters", "faulty_meters"),
    }
    assert stat.S_IMODE(shell.stack_file.stat().st_mode) == 0o600
    fields = {"meterType", "remoteAddress", "outstationAddress", "serialNumber", "password"}
    assert all(set(meter) == fields for meter in description["meters"] + description["faulty_meters"])
    assert {meter["meterType"] for meter in description["meters"]} == {
        name for name, meter_type in CATALOGUE.items() if meter_type.supported and meter_type.keeps_survey
    }
    addresses = [meter["remoteAddress"] for meter in description["meters"]]
    assert addresses[0].startswith("127.0.0.1:")
    assert any(address.isdecimal() for address in addresses)

    config = read_stack(shell.stack_file)
    assert config.ca_file is not None
    trust = ssl.create_default_context(cafile=config.ca_file)
    answers = {
        scope: httpx.get(
            f"{description['gateway']}/limits", headers={"Authorization": f"Bearer {description[scope]}"}, verify=trust
        ).status_code
        for scope in ("token", "admin_token")
    }
    assert answers["token"] == httpx.codes.OK

    processes = everything_below(up)
    up.send_signal(signal.SIGINT)
    output, _ = up.communicate(timeout=END_SECONDS)
    assert up.returncode == 0
    assert "curl -sS --cacert" in output
    assert all_gone(processes)
    assert not shell.stack_file.exists()


def test_down_ends_a_stack_from_another_shell(shell: Shell) -> None:
    up = shell.start_up()
    processes = everything_below(up)
    second = shell.run("up", READY_SECONDS)
    assert second.returncode == 1
    assert "runs in" in second.stderr
    assert shell.stack_file.exists()

    assert shell.run("down", END_SECONDS).stdout == "The stack has ended.\n"
    assert up.wait(timeout=END_SECONDS) == 0
    assert all_gone(processes)
    assert shell.run("down", END_SECONDS).stdout == "No stack runs.\n"


def test_nothing_outlives_a_stack_that_is_killed(shell: Shell) -> None:
    up = shell.start_up()
    processes = everything_below(up)
    up.kill()
    up.wait(timeout=END_SECONDS)
    assert all_gone(processes)
    shell.run("down", END_SECONDS)
    assert not shell.stack_file.exists()


def test_a_service_that_dies_is_reported_and_ends_the_stack(shell: Shell) -> None:
    up = shell.start_up()
    processes = everything_below(up)
    scheduler = next(each for each in processes if "mts_scheduler" in each.cmdline())
    scheduler.kill()
    output, _ = up.communicate(timeout=END_SECONDS)
    assert up.returncode == 1
    assert "scheduler ended with code -9" in output
    assert all_gone(processes)
    assert not shell.stack_file.exists()


@pytest.mark.timeout(400)
def test_the_demo_ends_as_expected_and_leaves_nothing(shell: Shell) -> None:
    finished = shell.run("demo", 330.0)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "ended as expected" in finished.stdout
    assert list(shell.directory.glob("**/*")) == []
