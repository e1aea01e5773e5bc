"""How somebody asks a command of the stack to end: Ctrl-C, SIGTERM, or a closed terminal."""

from __future__ import annotations

import signal
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked us to end: Ctrl-C, SIGTERM, or a closed terminal."""


def stop_on_signals() -> None:
    """From now on the first signal raises `Stopped` in the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise Stopped

    for number in _ENDING:
        signal.signal(number, stop)


def ignore_signals() -> None:
    """From now on we are ending already, and are not to be cut off."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
