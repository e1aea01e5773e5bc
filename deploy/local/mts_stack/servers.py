"""Which RabbitMQ and PostgreSQL are used: given by the environment, in containers, or private ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mts_stack.containers import PostgresContainer, RabbitContainer, docker_answers
from mts_stack.postgres import PostgresServer, postgres_answers
from mts_stack.processes import StackFault
from mts_stack.rabbitmq import RabbitServer, management_answers

_AMQP, _AMQP_ADMIN, _POSTGRES = "MTS_TEST_AMQP_URL", "MTS_TEST_AMQP_ADMIN_URL", "MTS_TEST_POSTGRES_URL"


class Server(Protocol):
    """Start, stop and kill may be called any number of times, in any order; data and ports outlast them."""

    @property
    def admin_url(self) -> str:
        """The superuser's database connection, or the administrator's management API."""

    def start(self) -> None:
        """Start it and wait until it serves. Raises `StackFault`."""

    def stop(self) -> None:
        """End it in order."""

    def kill(self) -> None:
        """End it at once, as a crash would."""

    def remove(self) -> None:
        """End it for good, with its data."""


class Broker(Server, Protocol):
    """A RabbitMQ server."""

    @property
    def amqp_url(self) -> str:
        """The default vhost, as administrator."""

    def limit_memory(self, limit: str) -> None:
        """How much memory it may have, as `1GB`, before it takes nothing from publishers. Raises `StackFault`."""


@dataclass(frozen=True)
class GivenServer:
    """A server that somebody else runs: it is checked, but never started or ended."""

    admin_url: str
    amqp_url: str = ""

    def start(self) -> None:
        """Raises `StackFault` if it does not answer."""
        answers = management_answers if self.amqp_url else postgres_answers
        if not answers(self.admin_url):
            raise StackFault("a server named by MTS_TEST_… in the environment does not answer")

    def stop(self) -> None:
        """It is not ours to end."""

    def kill(self) -> None:
        """Raises `StackFault`: it is not ours to end."""
        raise StackFault("a server named by MTS_TEST_… in the environment is not ours to kill")

    def limit_memory(self, limit: str) -> None:
        """Raises `StackFault`: it is not ours to limit."""
        raise StackFault(f"a server named by MTS_TEST_… in the environment is not ours to limit to {limit}")

    def remove(self) -> None:
        """It is not ours to end."""


@dataclass(frozen=True)
class Servers:
    """One broker and one database server."""

    broker: Broker
    database: Server

    @property
    def amqp_url(self) -> str:
        """The broker's default vhost, as administrator."""
        return self.broker.amqp_url

    @property
    def amqp_admin_url(self) -> str:
        """The broker's management API, as administrator."""
        return self.broker.admin_url

    @property
    def postgres_admin_url(self) -> str:
        """The database server's own database, as superuser."""
        return self.database.admin_url

    def start(self) -> None:
        """Start both and wait until they serve. Raises `StackFault`."""
        self.database.start()
        self.broker.start()

    def remove(self) -> None:
        """End both for good, with their data."""
        try:
            self.broker.remove()
        finally:
            self.database.remove()


def local_servers(directory: Path, *, durable: bool) -> Servers:
    """Servers in containers where a Docker engine answers, else private ones in that directory; not yet started."""
    if docker_answers():
        return Servers(RabbitContainer(), PostgresContainer())
    return Servers(RabbitServer(directory), PostgresServer(directory, durable=durable))


def servers_for_tests(directory: Path) -> Servers:
    """Servers named by MTS_TEST_AMQP_URL, MTS_TEST_AMQP_ADMIN_URL and MTS_TEST_POSTGRES_URL, else local ones."""
    given = {name: os.environ.get(name, "") for name in (_AMQP, _AMQP_ADMIN, _POSTGRES)}
    if not any(given.values()):
        return local_servers(directory, durable=False)
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise StackFault(f"set {' and '.join(missing)} too, or none of the three")
    return Servers(GivenServer(given[_AMQP_ADMIN], given[_AMQP]), GivenServer(given[_POSTGRES]))
