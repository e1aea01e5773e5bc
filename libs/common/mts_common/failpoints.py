"""Named steps of the code at which a test makes a process die, stop or fail; without MTS_FAILPOINTS nothing happens.

MTS_FAILPOINTS names a directory. A step is armed by a file of its name, `STEP` or `STEP.KEY`, that says what happens
when the step is next reached: `kill` (SIGKILL), `stop` (SIGSTOP, until SIGCONT comes) or `error`; with a number, as in
`kill 3`, so many times. A step that has happened is disarmed before it takes effect.
"""

from __future__ import annotations

import os
import signal
from functools import cache
from pathlib import Path


class Failpoint(Exception):
    """The step was armed with `error`."""


def reach(step: str, key: object = "") -> None:
    """The code has come to `step`, for what `key` names."""
    directory = _directory()
    if directory is not None:
        for name in (step, f"{step}.{key}"):
            _act(name, _disarm(directory / name))


@cache
def _directory() -> Path | None:
    named = os.environ.get("MTS_FAILPOINTS")
    return Path(named) if named else None


def _disarm(file: Path) -> str:
    """What is to happen; "" = nothing."""
    try:
        action, _, times = file.read_text("utf-8").partition(" ")
    except FileNotFoundError:
        return ""
    if int(times or 1) > 1:
        file.write_text(f"{action} {int(times) - 1}", "utf-8")
    else:
        file.unlink(missing_ok=True)
    return action


def _act(name: str, action: str) -> None:
    if action == "error":
        raise Failpoint(name)
    if action:
        os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)
