"""Steps at which tests make a process die, stop or fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

PASS_TWICE = (
    "from mts_common import failpoints\n"
    "for _ in range(2):\n"
    "    try:\n"
    "        failpoints.reach('step', 7)\n"
    "        print('passed')\n"
    "    except failpoints.Failpoint:\n"
    "        print('failed')\n"
)


def start(directory: Path | None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "MTS_FAILPOINTS"}
    if directory is not None:
        environment["MTS_FAILPOINTS"] = str(directory)
    return subprocess.Popen([sys.executable, "-c", PASS_TWICE], env=environment, stdout=subprocess.PIPE, text=True)


def run(directory: Path | None) -> tuple[int, list[str]]:
    process = start(directory)
    output, _ = process.communicate(timeout=30)
    return process.returncode, output.split()


def test_without_a_directory_nothing_happens() -> None:
    assert run(None) == (0, ["passed", "passed"])


def test_a_step_that_is_not_armed_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("kill")
    (tmp_path / "step.8").write_text("kill")
    assert run(tmp_path) == (0, ["passed", "passed"])


def test_an_armed_step_fails_once(tmp_path: Path) -> None:
    (tmp_path / "step").write_text("error")
    assert run(tmp_path) == (0, ["failed", "passed"])
    assert not (tmp_path / "step").exists()


def test_a_step_can_be_armed_for_one_key_and_several_times(tmp_path: Path) -> None:
    (tmp_path / "step.7").write_text("error 3")
    assert run(tmp_path) == (0, ["failed", "failed"])
    assert run(tmp_path) == (0, ["failed", "passed"])


def test_a_killed_process_has_disarmed_its_step(tmp_path: Path) -> None:
    (tmp_path / "step").write_text("kill")
    assert run(tmp_path) == (-signal.SIGKILL, [])
    assert not (tmp_path / "step").exists()


def test_a_stopped_process_goes_on_when_told_to(tmp_path: Path) -> None:
    (tmp_path / "step").write_text("stop")
    process = start(tmp_path)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=30)
    assert output.split() == ["passed", "passed"]
