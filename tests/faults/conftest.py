"""One system for the fault tests, replaced after a test that did not leave it in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fault_harness.checker import Checker
from fault_harness.system import System, seed
from fault_harness.workload import Workload

from mts_stack.servers import Servers


class Shared:
    """The system that is up, if any."""

    def __init__(self, servers: Servers, directory: Path) -> None:
        self._servers = servers
        self._directory = directory
        self._made = 0
        self._up = ExitStack()
        self._system: System | None = None

    def system(self) -> System:
        if self._system is not None and not self._system.verified:
            self.end()
        if self._system is None:
            self._made += 1
            self._system = self._up.enter_context(System(self._servers, self._directory / str(self._made)))
        self._system.verified = False
        return self._system

    def end(self) -> None:
        self._system = None
        self._up.close()


@pytest.fixture(scope="package")
def shared(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    shared = Shared(servers, tmp_path_factory.mktemp("faults"))
    yield shared
    shared.end()


@pytest.fixture
def system(shared: Shared) -> Iterator[System]:
    """The platform, healthy and at rest. A test ends by `checker.verify`, or it has shown nothing."""
    system = shared.system()
    yield system
    if not system.verified:
        shared.end()


@pytest.fixture
def checker(system: System) -> Checker:
    return Checker(system)


@pytest.fixture
def workload(system: System) -> Workload:
    """Clients at work, with a seed that is printed and can be given (MTS_FAULT_SEED)."""
    chosen = seed()
    print(f"MTS_FAULT_SEED={chosen}")
    return Workload(system, chosen)
