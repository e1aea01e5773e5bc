"""The whole platform for the tests that need it, started from its own processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from mts_common.database import migrate, open_pool, transaction
from mts_gateway.registry.seed import read_seed
from mts_gateway.testing import RunningGateway, make_certificate, make_settings
from mts_metersim.fleet import Meter
from mts_metersim.presets import fleet
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.modems import Bank
from mts_stack.paths import ROOT
from mts_stack.postgres import RoleUrls
from mts_stack.rabbitmq import vhost_url
from mts_stack.seed import load
from mts_stack.servers import Servers
from mts_stack.testing import StackUnderTest

EXAMPLE = ROOT / "examples" / "registry-seed.json"

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


async def _load_example(roles: RoleUrls) -> None:
    await migrate(roles.url("gateway"), "gateway", "mts_gateway")
    await migrate(roles.url("results"), "results", "mts_results")
    seed = read_seed(EXAMPLE.read_bytes(), datetime.now(UTC).date())
    async with open_pool(roles.admin_url, "test", 2) as pool, transaction(pool) as owner:
        await load(owner, seed)


@pytest.fixture(scope="module")
def gateway(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway in this process, over TLS, with the example registry, for the tests of a module."""
    with fresh_database(servers) as roles, fresh_vhost(servers) as management:
        asyncio.run(_load_example(roles))
        cert, key = make_certificate(tmp_path_factory.mktemp("tls"))
        settings = make_settings(
            roles,
            amqp_url=vhost_url(servers.amqp_url, management.vhost),
            meter_keys=Fernet.generate_key().decode(),
            tls_cert=cert,
            tls_key=key,
        )
        with RunningGateway(settings) as gateway:
            yield gateway
