"""The gateway for tests: the real application behind real TLS, over real servers, with stand-ins for its neighbours."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import asyncpg
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mts_common.broker import Broker
from mts_common.database import Statements, from_json, migrate, open_pool, to_json
from mts_common.messages import CancelReply, CancelTests, Message, SettleRequests, SettleRequestsReply, TestRequested
from mts_common.requests import Server
from mts_common.topology import (
    CANCELS,
    JOB_CHANGES,
    JOB_LISTS,
    LINE_LISTS,
    QUARANTINE_LIFTS,
    RESULTS_DEAD,
    RESULTS_REQUESTS,
    RESULTS_REQUEUES,
    RESULTS_SETTLES,
    SCHEDULER_DEAD,
    SCHEDULER_REQUESTS,
    SCHEDULER_REQUEUES,
    SCHEDULER_SETTLES,
    EventQueue,
    RequestQueue,
)
from mts_gateway import openapi, runtime
from mts_gateway.clients import Clients, NewToken
from mts_gateway.settings import GatewaySettings
from mts_gateway.testing.contract import Contract

_STAND_INS = (
    "create_status",
    "create_search",
    "create_trace",
    "create_measurement",
    "create_period_count",
    "create_register_reading",
    "create_device_fact",
    "grant_schema",
    "grant_views",
)

START_SECONDS = 20.0
END_SECONDS = 40.0
OPERATED = (
    JOB_LISTS,
    JOB_CHANGES,
    LINE_LISTS,
    QUARANTINE_LIFTS,
    SCHEDULER_DEAD,
    SCHEDULER_REQUEUES,
    RESULTS_DEAD,
    RESULTS_REQUEUES,
)


class Roles(Protocol):
    """A fresh database."""

    @property
    def admin_url(self) -> str:
        """Its URL for the superuser."""

    def url(self, role: str) -> str:
        """Its URL for a service's role."""


class Background:
    """An asyncio program in a thread of its own; `main` is given the event that ends it."""

    def __init__(self, main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self._main = main
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._begun.wait(START_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError(f"{type(self).__name__} did not end")
        if self.fault is not None:
            raise self.fault

    def stop(self) -> None:
        """Set the event."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        try:
            await self._main(self._stop)
        except BaseException as fault:
            self.fault = fault


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client with a token."""

    client_id: int
    token_id: int
    token: str = field(repr=False)


class RunningGateway(Background):
    """One gateway process's worth of the real thing."""

    def __init__(self, settings: GatewaySettings) -> None:
        super().__init__(lambda stop: runtime.run(settings, stop, self._on_started))
        self.settings = settings
        self.port = 0
        self._contract = Contract(openapi.document(settings.limits))
        self._started = threading.Event()

    def __enter__(self) -> Self:
        super().__enter__()
        deadline = START_SECONDS * 10
        while not self._started.wait(0.1) and self.fault is None and deadline > 0:
            deadline -= 1
        if self.fault is not None:
            raise self.fault
        return self

    def _on_started(self, port: int) -> None:
        self.port = port
        self._started.set()

    @property
    def scheme(self) -> str:
        """How it is reached."""
        return "http" if self.settings.tls_cert is None else "https"

    def http(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A connection pool that sends the token with every request and holds every answer against the MTS contract."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        client = self.neighbour(**headers)
        client.event_hooks = {"response": [self._contract.check]}
        return client

    def neighbour(self, **headers: str) -> httpx.Client:
        """A connection pool for the APIs beside that of MTS."""
        verify: ssl.SSLContext | bool = False
        if self.settings.tls_cert is not None:
            verify = ssl.create_default_context(cafile=self.settings.tls_cert)
        return httpx.Client(
            base_url=f"{self.scheme}://127.0.0.1:{self.port}",
            verify=verify,
            headers=headers,
            timeout=30.0,
        )


class Store:
    """The database under the gateway, with stand-ins for the views of results."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._views = Statements("mts_gateway.testing")

    def prepare(self) -> None:
        """Migrate the gateway's schema and create the stand-ins."""
        asyncio.run(migrate(self._roles.url("gateway"), runtime.SCHEMA, "mts_gateway"))
        for name in _STAND_INS:
            self.run(self._views[name], role="results")

    def publish_search(self, client_id: int) -> None:
        """Let every accepted test of a client be found."""
        self.run(self._views["publish_search"], client_id)

    def new_client(self, scopes: Sequence[str] = ("mts",), dialect: str = "grouped", days: int = 1) -> Credentials:
        """A client with one token."""

        async def create() -> Credentials:
            async with open_pool(self._roles.url("gateway"), "test", 2) as pool:
                clients = Clients(pool, Statements("mts_gateway"))
                client: Any = await clients.create_client("a client")
                token: Any = await clients.create_token(NewToken(client["clientId"], tuple(scopes), days, dialect))
            return Credentials(client["clientId"], token["tokenId"], token["token"])

        return asyncio.run(create())

    @contextmanager
    def shut_out(self) -> Iterator[None]:
        """The gateway's role cannot log in, and its connections are cut."""
        self.run("ALTER ROLE mts_gateway CONNECTION LIMIT 0")
        try:
            self.cut_off()
            yield
        finally:
            self.run("ALTER ROLE mts_gateway CONNECTION LIMIT -1")

    def cut_off(self) -> None:
        """The gateway's connections are cut."""
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mts_gateway'")

    def run(self, statement: str, *arguments: object, role: str | None = None) -> list[asyncpg.Record]:
        """The rows of a statement, as the superuser or in a role."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self._roles.url(role) if role else self._roles.admin_url)
            try:
                await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=to_json, decoder=from_json)
                return await connection.fetch(statement, *arguments)
            finally:
                await connection.close()

        return asyncio.run(fetch())


class Listener(Background):
    """Takes what scheduler and results are told of accepted tests."""

    def __init__(self, amqp_url: str) -> None:
        super().__init__(self._listen)
        self._amqp_url = amqp_url
        self._told: dict[EventQueue, list[TestRequested]] = {SCHEDULER_REQUESTS: [], RESULTS_REQUESTS: []}
        self._news = threading.Condition()

    def wait_for(self, queue: EventQueue, test_id: int, times: int = 1) -> TestRequested:
        """What the queue's service was told of a test, once it has been told so many times."""
        with self._news:
            if not self._news.wait_for(lambda: len(self._of(queue, test_id)) >= times, START_SECONDS):
                raise TimeoutError(f"{queue.name} was not told of test {test_id} {times} times")
            return self._of(queue, test_id)[-1]

    def times(self, queue: EventQueue, test_id: int) -> int:
        """How often it was told."""
        return len(self._of(queue, test_id))

    def _of(self, queue: EventQueue, test_id: int) -> list[TestRequested]:
        return [item for item in self._told[queue] if item.test_id == test_id]

    async def _listen(self, stop: asyncio.Event) -> None:
        async with Broker(self._amqp_url, "listener") as broker, asyncio.TaskGroup() as tasks:
            consuming = [
                tasks.create_task(broker.consume(queue, partial(self._note, queue)), name=queue.name)
                for queue in self._told
            ]
            await stop.wait()
            for task in consuming:
                task.cancel()

    async def _note(self, queue: EventQueue, items: list[TestRequested]) -> None:
        with self._news:
            self._told[queue] += items
            self._news.notify_all()


class Neighbours(Background):
    """Answers as scheduler and results do.

    A test is held until it is put among `running` or `done`; it has reached a service unless it is among those lost.
    What operators ask is kept in `operators` and answered by what `answers` holds for its queue.
    """

    def __init__(self, amqp_url: str) -> None:
        super().__init__(self._serve)
        self._amqp_url = amqp_url
        self.running: set[int] = set()
        self.done: set[int] = set()
        self.lost_by_scheduler: set[int] = set()
        self.lost_by_results: set[int] = set()
        self.asked: list[CancelTests] = []
        self.operators: list[Message] = []
        self.answers: dict[str, Message] = {}

    async def _serve(self, stop: asyncio.Event) -> None:
        async with Broker(self._amqp_url, "neighbours") as broker, asyncio.TaskGroup() as tasks:
            servers: dict[RequestQueue, Server] = {
                CANCELS: self._cancel,
                SCHEDULER_SETTLES: partial(self._settle, self.lost_by_scheduler),
                RESULTS_SETTLES: partial(self._settle, self.lost_by_results),
                **{queue: partial(self._operate, queue) for queue in OPERATED},
            }
            serving = [
                tasks.create_task(broker.serve(queue, server), name=queue.name) for queue, server in servers.items()
            ]
            await stop.wait()
            for task in serving:
                task.cancel()

    async def _operate(self, queue: RequestQueue, questions: list[Message]) -> list[Message]:
        self.operators += questions
        return [self.answers[queue.name]] * len(questions)

    async def _cancel(self, questions: list[CancelTests]) -> list[CancelReply]:
        self.asked += questions
        return [self._judge(question) for question in questions]

    def _judge(self, question: CancelTests) -> CancelReply:
        held = [test_id for test_id in question.test_ids if test_id not in self.running | self.done]
        done = [test_id for test_id in question.test_ids if test_id in self.done and question.delete_completed]
        return CancelReply(cancelled=tuple(held), deleted=tuple(done))

    async def _settle(self, lost: set[int], questions: list[SettleRequests]) -> list[SettleRequestsReply]:
        return [
            SettleRequestsReply(known=tuple(test_id for test_id in question.test_ids if test_id not in lost))
            for question in questions
        ]


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that certifies itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = directory / "cert.pem", directory / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


def make_settings(roles: Roles, **others: Any) -> GatewaySettings:
    """Settings for a gateway on any free port."""
    return GatewaySettings(**{"postgres_url": roles.url("gateway"), "http_port": 0, "pool_size": 8, **others})
