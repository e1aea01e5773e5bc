"""The simulator's own log: JSON lines from which other tests see who called when and what was asked."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO


class CallLog:
    """One line per happening, flushed at once. `monotonic` is this machine's clock, comparable between processes.

    Never holds a password. With no path, lines go nowhere.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, tb: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, event: str, **facts: object) -> None:
        if self._file is None:
            return
        line = {"event": event, "at": datetime.now(UTC).isoformat(), "monotonic": time.monotonic(), **facts}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
