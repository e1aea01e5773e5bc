"""Pytest plugin: real servers for the tests that ask for them. Where they cannot be had, those tests fail."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mts_stack.postgres import RoleUrls, create_database, drop_database
from mts_stack.rabbitmq import Management, vhost_url
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


@pytest.fixture
def database(servers: Servers) -> Iterator[RoleUrls]:
    """A fresh database with the roles and schemas of init.sql, dropped afterwards; `url(role)` and `admin_url`."""
    name = f"mts_test_{secrets.token_hex(6)}"
    urls = create_database(servers.postgres_admin_url, name)
    yield urls
    drop_database(servers.postgres_admin_url, name)


@pytest.fixture
def management(servers: Servers) -> Iterator[Management]:
    """The management API of a fresh vhost, deleted afterwards."""
    management = Management(servers.amqp_admin_url, f"test-{secrets.token_hex(6)}")
    management.create_vhost()
    yield management
    management.delete_vhost()
    management.close()


@pytest.fixture
def amqp_url(servers: Servers, management: Management) -> str:
    """The AMQP URL of that fresh vhost."""
    return vhost_url(servers.amqp_url, management.vhost)
