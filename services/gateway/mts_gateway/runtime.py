"""The gateway as a running service: its parts, wired together."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import uvicorn

from mts_common import database, metrics, service
from mts_common.broker import Broker
from mts_common.database import Connection, Pool, Statements
from mts_common.dead_letters import DeadLetters
from mts_common.health import Health, HttpServer, serve_health
from mts_common.levels import Levels, watch
from mts_common.outbox import Outbox, Relay
from mts_common.pulse import Pulses
from mts_common.security import Vault
from mts_common.topology import RESULTS_DEAD, RESULTS_REQUEUES, SCHEDULER_DEAD, SCHEDULER_REQUEUES
from mts_common.vocabulary import about
from mts_gateway import openapi
from mts_gateway.accept import Acceptor
from mts_gateway.admission import Admission
from mts_gateway.cancel import Canceller
from mts_gateway.carbontrack.app import CarbonTrack
from mts_gateway.clients import Clients
from mts_gateway.endpoint import Bounds
from mts_gateway.housekeeping import Housekeeping
from mts_gateway.new_test import Rules
from mts_gateway.operations.asking import Letters, RemoteLetters, Scheduler
from mts_gateway.operations.routes import Operations
from mts_gateway.origin import Origin
from mts_gateway.protocol import CONNECTIONS, BoundedProtocol
from mts_gateway.reading import Reader
from mts_gateway.registry.routes import RegistryAdmin
from mts_gateway.registry.statements import SQL as REGISTRY
from mts_gateway.registry.transfer import Transfer
from mts_gateway.routes_admin import Admin
from mts_gateway.routes_commands import Commands
from mts_gateway.routes_queries import Queries
from mts_gateway.routes_service import Service
from mts_gateway.settings import GatewaySettings
from mts_gateway.settle import Settler
from mts_gateway.users import Users
from mts_gateway.warranty.app import application as warranty_application
from mts_gateway.warranty.readings import Intake
from mts_gateway.warranty.statements import SQL as WARRANTY
from mts_gateway.web import Guard, application

SCHEMA = "gateway"
KEEP_ALIVE_SECONDS = 30
DRAIN_SECONDS = 15
SPARE_FILES = 256  # for everything but the clients' connections

_log = logging.getLogger(__name__)


class NotPrimary(Exception):
    """The database can be read but not written to."""


class Gateway:
    """All parts of one gateway process over an open pool and broker."""

    def __init__(self, settings: GatewaySettings, pool: Pool, broker: Broker, pulses: Pulses) -> None:
        self._settings = settings
        self._pool = pool
        self._broker = broker
        self.pulses = pulses
        self._own = Statements("mts_gateway")
        self._views = Statements("mts_gateway.results")
        outbox = Outbox(SCHEMA)
        self.levels = (outbox.levels, Levels((metrics.UNSETTLED_AGE,), self._read_levels))
        vault = Vault(key.get_secret_value() for key in settings.meter_keys)
        self.relay = Relay(pool, outbox, broker.publisher, self.pulses)
        self.admission = Admission(pool, self._own["admit"], settings.limits)
        self.users = Users(pool, self._own, settings.limits)
        self._bounds = Bounds(settings.max_requests, settings.max_body_bytes)
        self.acceptor = Acceptor(pool, self._own, outbox, vault, settings.settle_after_seconds, self.relay.wake)
        self.settler = Settler(
            pool, self._own, outbox, broker.requester, settings.settle_after_seconds, self.relay.wake, self.pulses
        )
        self.letters = DeadLetters(pool, SCHEMA, broker.publisher)
        self.housekeeping = Housekeeping(pool, self._own, settings.keep_days)
        self._carbontrack = CarbonTrack(pool, self.users, settings, self._bounds)
        self.readings = Intake(pool)
        stored = {"database": self._check_database, "results": self._check_views}
        self.health = Health(stored, self.pulses)
        self._parts = Health(
            {
                **stored,
                "readings": self._carbontrack.check_views,
                "due dates": self.readings.check,
                "broker": broker.check,
            }
        )
        self.app = Origin(
            self._api(vault),
            {
                **dict.fromkeys(("oauth", "token", "ctapi"), self._carbontrack.app),
                "fscmrestapi": warranty_application(
                    pool,
                    self.users,
                    self.admission,
                    self._bounds,
                    settings.gateway_public_base_url,
                    trust_proxy=settings.trust_proxy,
                ),
            },
        )

    async def check(self) -> None:
        """Raises `StatementFault` if the schema is not the one this code is written for."""
        await self._own.check(self._pool)
        await self._carbontrack.check()
        await REGISTRY.check(self._pool)
        await WARRANTY.check(self._pool)

    def _api(self, vault: Vault) -> Guard:
        settings = self._settings
        reader = Reader(
            self._pool,
            self._own,
            self._views,
            vault,
            mask=settings.mask_passwords,
            at_once=max(1, settings.pool_size // 2),
        )
        rules = Rules(settings.max_survey_days, settings.max_batch_tests, settings.country_code)
        canceller = Canceller(self._pool, self._own, self._broker.requester, settings.settle_after_seconds)
        transfer = Transfer(self._pool, self._views, self.users.passwords, settings.country_code, _now)
        routers = (
            Commands(self.acceptor, canceller, rules, _now).router(),
            Queries(reader, settings.limits, _now).router(),
            Admin(Clients(self._pool, self._own), reader).router(),
            Operations(Scheduler(self._broker.requester), self._letters()).router(),
            RegistryAdmin(transfer).router(),
            Service(self._parts, self.health).router(),
        )
        return application(routers, self.admission, openapi.document(settings.limits), self._bounds)

    def _letters(self) -> dict[str, Letters]:
        requester = self._broker.requester
        return {
            "gateway": self.letters,
            "scheduler": RemoteLetters(requester, SCHEDULER_DEAD, SCHEDULER_REQUEUES),
            "results": RemoteLetters(requester, RESULTS_DEAD, RESULTS_REQUEUES),
        }

    async def _check_database(self) -> None:
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            if await connection.fetchval(self._own["alive"]):
                raise NotPrimary

    async def _read_levels(self, connection: Connection) -> None:
        metrics.UNSETTLED_AGE.set(await connection.fetchval(self._own["unsettled_age"]), {"mts.schema": SCHEMA})

    async def _check_views(self) -> None:
        """The published views have the columns that are read."""
        await self._views.check(self._pool)


async def run(settings: GatewaySettings, stop: asyncio.Event, on_started: Callable[[int], None] | None = None) -> None:
    """Serve until `stop` is set, then finish the requests under way. `on_started` is given the port."""
    service.allow_open_files(CONNECTIONS + SPARE_FILES)
    async with AsyncExitStack() as open_things:
        pool = await open_things.enter_async_context(
            database.open_pool(
                settings.postgres_url.get_secret_value(), "mts-gateway", settings.pool_size, settings.statement_seconds
            )
        )
        pulses = Pulses()
        broker = await open_things.enter_async_context(
            Broker(settings.amqp_url.get_secret_value(), "mts-gateway", pulses)
        )
        gateway = Gateway(settings, pool, broker, pulses)
        await gateway.check()
        server = _Server(_server_config(settings, gateway.app), on_started)
        drained = asyncio.Event()
        parts = {
            "http": _serve(server, stop, drained),
            "health": serve_health(gateway.health, settings.health_host, settings.health_port),
            "admission": gateway.admission.run(),
            "acceptor": gateway.acceptor.run(),
            "levels": watch(pool, SCHEMA, *gateway.levels),
            "relay": gateway.relay.run(),
            "settler": gateway.settler.run(),
            "dead letters": broker.collect_dead(gateway.letters),
            "housekeeping": gateway.housekeeping.run(),
            "pulses": gateway.pulses.watch(),
            "readings": gateway.readings.run(broker),
        }
        await service.until_stopped(drained, parts)


async def _serve(server: _Server, stop: asyncio.Event, drained: asyncio.Event) -> None:
    """Serve, and on `stop` answer what is under way while the other parts still work for it."""

    async def close_when_stopped() -> None:
        await stop.wait()
        server.should_exit = True

    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(close_when_stopped(), name="close http")
        await server.serve()
        closing.cancel()
    if stop.is_set():
        drained.set()
        await asyncio.Event().wait()


class _Server(HttpServer):
    """Says on which port it listens."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        _log.info("listening on port %d", port, extra=about("listen"))
        if self._on_started is not None:
            self._on_started(port)


def _server_config(settings: GatewaySettings, app: Origin) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.http_host,
        port=settings.http_port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=settings.trust_proxy,
        forwarded_allow_ips="*",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def _now() -> datetime:
    return datetime.now(UTC)
