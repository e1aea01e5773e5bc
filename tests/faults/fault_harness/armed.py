"""Arming the failpoints of processes that run with MTS_FAILPOINTS (see `mts_common.failpoints`)."""

from __future__ import annotations

from pathlib import Path


class Failpoints:
    """The steps that are armed, in a directory that the processes look at."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory

    def arm(self, step: str, action: str = "kill") -> None:
        """From now on the next process that reaches `step` takes the action: `kill`, `stop`, `error`, or `kill 3`."""
        draft = self.directory / f".{step}"
        draft.write_text(action, "utf-8")
        draft.rename(self.directory / step)

    def reached(self, step: str) -> bool:
        """Whether an armed step has been reached as often as it was armed for."""
        return not (self.directory / step).exists()

    def disarm(self) -> list[str]:
        """Disarm every step; those that were never reached."""
        left = [file for file in self.directory.iterdir() if not file.name.startswith(".")]
        for file in left:
            file.unlink(missing_ok=True)
        return sorted(file.name for file in left)
