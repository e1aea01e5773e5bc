"""Pytest plugin: real servers for the tests that ask for them. Where they cannot be had, those tests fail."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from mts_common import exposition
from mts_stack.postgres import RoleUrls, create_database, drop_database
from mts_stack.rabbitmq import Management, vhost_url
from mts_stack.scrapes import Scrape, scrape_here
from mts_stack.servers import Servers, servers_for_tests


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One RabbitMQ and one PostgreSQL for the whole session."""
    directory = Path(tempfile.mkdtemp(prefix="mts-test-"))
    directory.chmod(0o711)
    try:
        servers = servers_for_tests(directory)
        try:
            servers.start()
            yield servers
        finally:
            servers.remove()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def fresh_database(servers: Servers) -> Iterator[RoleUrls]:
    """A database with the roles and schemas of init.sql, dropped afterwards."""
    name = f"mts_test_{secrets.token_hex(6)}"
    urls = create_database(servers.postgres_admin_url, name)
    try:
        yield urls
    finally:
        drop_database(servers.postgres_admin_url, name)


@contextmanager
def fresh_vhost(servers: Servers) -> Iterator[Management]:
    """A vhost and its management API, deleted afterwards."""
    management = Management(servers.amqp_admin_url, f"test-{secrets.token_hex(6)}")
    management.create_vhost()
    try:
        yield management
    finally:
        management.delete_vhost()
        management.close()


@pytest.fixture
def database(servers: Servers) -> Iterator[RoleUrls]:
    """A fresh database for one test: `url(role)` and `admin_url`."""
    with fresh_database(servers) as urls:
        yield urls


@pytest.fixture
def management(servers: Servers) -> Iterator[Management]:
    """The management API of the test's own vhost."""
    with fresh_vhost(servers) as management:
        yield management


@pytest.fixture
def amqp_url(servers: Servers, management: Management) -> str:
    """The AMQP URL of the test's own vhost."""
    return vhost_url(servers.amqp_url, management.vhost)


@pytest.fixture
def metered() -> Callable[[], Scrape]:
    """Reads the metrics of the test's own process. They last as long as the process does: compare before and after."""
    exposition.install(Resource.create({"service.name": "tests"}), send=False)
    return scrape_here
