"""One system for the fault tests of a process, and the clients and the checker of one test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_harness.checker import Checker
from fault_harness.shared import Shared
from fault_harness.system import System, seed
from fault_harness.workload import Workload

from mts_stack.servers import Servers

HERE = Path(__file__).parent

# A test starts and restarts servers and processes: on a busy machine that takes longer than any other test may.
TEST_SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="package")
def shared(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with Shared(lambda directory: System(servers, directory), tmp_path_factory) as shared:
        yield shared


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
