"""One system for several tests, replaced after a test that did not leave it in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from fault_harness.system import System


class Shared:
    """A context manager; `make` is given a directory of the system's own."""

    def __init__(self, make: Callable[[Path], System], directories: pytest.TempPathFactory) -> None:
        self._make = make
        self._directories = directories
        self._up = ExitStack()
        self._system: System | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def system(self) -> System:
        """The system that is up, or a new one; `verified` is for the test to earn."""
        if self._system is None:
            self._system = self._up.enter_context(self._make(self._directories.mktemp("system")))
        self._system.verified = False
        return self._system

    def end(self) -> None:
        """End the system that is up, if any."""
        self._system = None
        self._up.close()
