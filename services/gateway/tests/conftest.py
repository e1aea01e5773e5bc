"""A gateway that the HTTP tests share, and what they need to make others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from mts_gateway.testing import (
    Credentials,
    Listener,
    Neighbours,
    RunningGateway,
    Store,
    make_certificate,
    make_settings,
)
from mts_gateway.testing.carbontrack import SUNCO, WINDCO, bearer
from mts_gateway.testing.carbontrack import load as load_carbontrack
from mts_gateway.testing.contract_api import client_of
from mts_gateway.testing.contract_seed import SeededRegistry, contract_seed
from mts_stack.fixtures import fresh_database, fresh_vhost
from mts_stack.rabbitmq import vhost_url
from mts_stack.servers import Servers

EXAMPLE = Path(__file__).parents[3] / "examples" / "registry-seed.json"

StartGateway = Callable[..., RunningGateway]


@dataclass(frozen=True)
class Site:
    """One database and one vhost, on which gateways can be started."""

    store: Store
    roles: Any
    amqp_url: str
    certificate: tuple[Path, Path]
    key: str

    def gateway(self, **settings: Any) -> RunningGateway:
        """A gateway with TLS, unless told otherwise."""
        cert, key = self.certificate
        given = {"amqp_url": self.amqp_url, "meter_keys": self.key, "tls_cert": cert, "tls_key": key, **settings}
        return RunningGateway(make_settings(self.roles, **given))


@pytest.fixture(scope="session")
def site(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with fresh_database(servers) as roles, fresh_vhost(servers) as management:
        store = Store(roles)
        store.prepare()
        certificate = make_certificate(tmp_path_factory.mktemp("tls"))
        amqp_url = vhost_url(servers.amqp_url, management.vhost)
        yield Site(store, roles, amqp_url, certificate, Fernet.generate_key().decode())


@pytest.fixture(scope="session")
def gateway(site: Site) -> Iterator[RunningGateway]:
    """The one that most tests share; each test has a client of its own."""
    with site.gateway() as gateway:
        yield gateway


@pytest.fixture
def start_gateway(site: Site) -> Iterator[StartGateway]:
    """Starts further gateways on the same database and broker, with other settings."""
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningGateway:
            return stack.enter_context(site.gateway(**settings))

        yield start


@pytest.fixture(scope="session")
def store(site: Site) -> Store:
    return site.store


@pytest.fixture(scope="session")
def neighbours(site: Site) -> Iterator[Neighbours]:
    with Neighbours(site.amqp_url) as neighbours:
        yield neighbours


@pytest.fixture(scope="session")
def listener(site: Site) -> Iterator[Listener]:
    with Listener(site.amqp_url) as listener:
        yield listener


@pytest.fixture
def owner(store: Store) -> Credentials:
    """The client of this test."""
    return store.new_client()


@pytest.fixture
def api(gateway: RunningGateway, owner: Credentials) -> Iterator[httpx.Client]:
    """Calls of that client."""
    with gateway.http(owner.token) as client:
        yield client


@pytest.fixture
def admin(gateway: RunningGateway, store: Store) -> Iterator[httpx.Client]:
    """Calls of an administrator."""
    with gateway.http(store.new_client(scopes=("admin",)).token) as client:
        yield client


@pytest.fixture(scope="session")
def carbontrack(site: Site) -> Iterator[RunningGateway]:
    """One with the data of carbontrack.md (9), whose users are not held to a rate."""
    load_carbontrack(site.store)
    with site.gateway(rate_limit_calls=1_000_000) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def sunco(carbontrack: RunningGateway) -> Iterator[httpx.Client]:
    """Calls of the distributor D1's user."""
    with carbontrack.neighbour(**bearer(carbontrack, *SUNCO)) as client:
        yield client


@pytest.fixture(scope="session")
def windco(carbontrack: RunningGateway) -> Iterator[httpx.Client]:
    """Calls of the distributor D2's user."""
    with carbontrack.neighbour(**bearer(carbontrack, *WINDCO)) as client:
        yield client


@pytest.fixture(scope="session")
def contract_site(servers: Servers, site: Site) -> Iterator[Site]:
    """A database and a vhost of their own, because each test of contracts begins with a fresh registry."""
    with fresh_database(servers) as roles, fresh_vhost(servers) as management:
        store = Store(roles)
        store.prepare()
        yield replace(site, store=store, roles=roles, amqp_url=vhost_url(servers.amqp_url, management.vhost))


@pytest.fixture(scope="session")
def contract_gateway(contract_site: Site) -> Iterator[RunningGateway]:
    """The gateway that the tests of contracts share; nobody is held to a rate."""
    with contract_site.gateway(rate_limit_calls=1_000_000) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def contract_registry(contract_site: Site) -> SeededRegistry:
    return SeededRegistry(contract_site.roles, contract_seed(EXAMPLE))


@pytest.fixture
def seeded(contract_registry: SeededRegistry) -> None:
    """The registry as the acceptance examples assume it; the test changes nothing of it."""
    contract_registry.restore()


@pytest.fixture
def changeable(contract_registry: SeededRegistry) -> Iterator[None]:
    """The same, and the test may change it."""
    contract_registry.restore()
    yield
    contract_registry.changed = True


@pytest.fixture
def contracts(contract_gateway: RunningGateway, seeded: None) -> Iterator[httpx.Client]:
    """The contract meters API, used by its user, who changes nothing."""
    with client_of(contract_gateway) as client:
        yield client


@pytest.fixture
def changing(contract_gateway: RunningGateway, changeable: None) -> Iterator[httpx.Client]:
    """The same for a user who may change something."""
    with client_of(contract_gateway) as client:
        yield client
