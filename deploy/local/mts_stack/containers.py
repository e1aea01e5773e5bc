"""RabbitMQ and PostgreSQL in containers of a Docker engine, on fixed ports of the loopback address."""

from __future__ import annotations

import secrets
import subprocess
from typing import cast

from testcontainers.core.container import DockerContainer

from mts_stack.postgres import postgres_answers
from mts_stack.processes import StackFault, free_ports, listens, wait_until
from mts_stack.rabbitmq import management_answers

ADMIN = "mts_admin"
RABBITMQ_IMAGE = "rabbitmq:3.13-management"
POSTGRES_IMAGE = "postgres:15"
START_SECONDS = 120.0


def docker_answers() -> bool:
    """Whether a Docker engine serves this user."""
    try:
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(command, capture_output=True, timeout=10.0, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class _Container:
    """A container that is made once, and started again with its data and ports after a stop."""

    def __init__(self, image: str, ports: dict[int, int], environment: dict[str, str]) -> None:
        self._container = DockerContainer(image).with_envs(**environment)
        for inside, outside in ports.items():
            # Docker's own client takes a pair here, which keeps the port off the machine's other addresses.
            self._container.ports[str(inside)] = cast(int, ("127.0.0.1", outside))
        self._made = False

    def start(self) -> None:
        """Start it and wait until it serves. Raises `StackFault`."""
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        if not wait_until(self.answers, START_SECONDS):
            raise StackFault(f"the container of {self._container.image} was not ready after {START_SECONDS:.0f} s")

    def answers(self) -> bool:
        """Whether it serves."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it in order."""
        if self._made:
            self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._made:
            self._container.get_wrapped_container().kill()

    def remove(self) -> None:
        """End it for good, with its data."""
        if self._made:
            self._container.stop()
            self._made = False


class RabbitContainer(_Container):
    """RabbitMQ with the management plugin."""

    def __init__(self) -> None:
        amqp, management = free_ports(2)
        password = secrets.token_hex(16)
        self.amqp_url = f"amqp://{ADMIN}:{password}@127.0.0.1:{amqp}/%2F"
        self.admin_url = f"http://{ADMIN}:{password}@127.0.0.1:{management}"
        environment = {"RABBITMQ_DEFAULT_USER": ADMIN, "RABBITMQ_DEFAULT_PASS": password}
        self._amqp = amqp
        super().__init__(RABBITMQ_IMAGE, {5672: amqp, 15672: management}, environment)

    def limit_memory(self, limit: str) -> None:
        """How much memory it may have, as `1GB`, before it takes nothing from publishers. Raises `StackFault`."""
        command = ["rabbitmqctl", "set_vm_memory_high_watermark", "absolute", limit]
        code, output = self._container.get_wrapped_container().exec_run(command)
        if code:
            raise StackFault(f"rabbitmqctl failed:\n{output.decode(errors='replace')}")

    def answers(self) -> bool:
        return listens(self._amqp) and management_answers(self.admin_url)


class PostgresContainer(_Container):
    """PostgreSQL with one superuser."""

    def __init__(self) -> None:
        (port,) = free_ports(1)
        password = secrets.token_hex(16)
        self.admin_url = f"postgresql://{ADMIN}:{password}@127.0.0.1:{port}/postgres"
        super().__init__(POSTGRES_IMAGE, {5432: port}, {"POSTGRES_USER": ADMIN, "POSTGRES_PASSWORD": password})

    def answers(self) -> bool:
        return postgres_answers(self.admin_url)
