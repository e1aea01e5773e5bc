"""The whole platform for the tests that need it, started from its own processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from mts_metersim.fleet import Meter
from mts_metersim.presets import fleet
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.modems import Bank
from mts_stack.servers import Servers
from mts_stack.testing import StackUnderTest

StartStack = Callable[..., StackUnderTest]


@pytest.fixture
def start_stack(servers: Servers, tmp_path: Path) -> Iterator[StartStack]:
    """Starts stacks that last for one test: `start_stack(meters, MTS_MAX_TRIES="1")`, by default ten healthy meters;
    `bank`: modems, and a dialler that has them."""
    with ExitStack() as everything:

        def start(meters: Sequence[Meter] | None = None, bank: Bank | None = None, **settings: str) -> StackUnderTest:
            database = everything.enter_context(fresh_database(servers))
            management = everything.enter_context(fresh_vhost(servers))
            directory = tmp_path / management.vhost
            chosen = fleet("healthy") if meters is None else meters
            return everything.enter_context(
                StackUnderTest(directory, servers, database, management, chosen, settings, bank)
            )

        yield start


@pytest.fixture(scope="module")
def stack(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackUnderTest]:
    """One stack, with the demo's fleet, for the tests of a module that leave it as they find it."""
    directory = tmp_path_factory.mktemp("stack")
    with (
        fresh_database(servers) as database,
        fresh_vhost(servers) as management,
        StackUnderTest(directory, servers, database, management, fleet("demo"), {}) as stack,
    ):
        yield stack
