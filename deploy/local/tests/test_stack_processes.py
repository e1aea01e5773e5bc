"""Processes of the stack: they end with their parent, in bounded time, and pid files never hit a stranger."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mts_stack.processes import Process, StackFault, end_leftovers, free_ports, is_alive, wait_until, write_pid_file

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    process = Process("sleeper", ["sleep", "60"], tmp_path)
    yield process
    process.kill()


def test_stop_ends_it_and_removes_the_pid_file(sleeper: Process) -> None:
    sleeper.start()
    assert is_alive(sleeper.pid_file)
    sleeper.stop()
    assert sleeper.exit_code == -signal.SIGTERM
    assert not sleeper.pid_file.exists()
    sleeper.stop()


def test_one_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    stubborn = Process("stubborn", [sys.executable, "-c", _STUBBORN], tmp_path, stop_seconds=0.2)
    stubborn.start()
    stubborn.wait_ready(lambda: "up" in stubborn.log_tail(), 10.0)
    stubborn.stop()
    assert stubborn.exit_code == -signal.SIGKILL


def test_one_that_dies_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = Process("short", [sys.executable, "-c", "import sys; sys.exit('no such meter')"], tmp_path)
    process.start()
    with pytest.raises(StackFault, match=r"(?s)short ended with code 1.*no such meter"):
        process.wait_ready(lambda: False, 10.0)


def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent_code = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from mts_stack.processes import Process
        process = Process("child", ["sleep", "60"], Path(sys.argv[1]))
        process.start()
        print("started", flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", parent_code, str(tmp_path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == b"started\n"
        parent.kill()
        parent.wait(timeout=10.0)
    assert wait_until(lambda: not is_alive(tmp_path / "run" / "child.pid"), 10.0)


def test_leftovers_are_ended_by_their_pid_files(tmp_path: Path, sleeper: Process) -> None:
    sleeper.start()
    assert end_leftovers(tmp_path) == ["sleeper"]
    assert wait_until(lambda: not sleeper.running, 10.0)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_stranger_with_the_number_of_ours_is_left_alone(tmp_path: Path, sleeper: Process) -> None:
    sleeper.start()
    stale = tmp_path / "other" / "run" / "old.pid"
    write_pid_file(stale, sleeper.pid)
    stale.write_text(f"{sleeper.pid} 1\n", "utf-8")
    assert end_leftovers(tmp_path / "other") == []
    assert sleeper.running
    assert not stale.exists()


def test_free_ports_are_all_different() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert not {5672, 5432} & set(ports)
