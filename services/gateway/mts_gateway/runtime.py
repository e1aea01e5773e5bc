"""The gateway as a running service: its parts, wired together."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import uvicorn

from mts_common import database, service
from mts_common.broker import Broker
from mts_common.database import Pool, Statements
from mts_common.health import Health, HttpServer, serve_health
from mts_common.outbox import Outbox, Relay
from mts_common.security import Vault
from mts_gateway import openapi
from mts_gateway.accept import Acceptor
from mts_gateway.admission import Admission
from mts_gateway.cancel import Canceller
from mts_gateway.carbontrack.app import application as carbontrack_application
from mts_gateway.clients import Clients
from mts_gateway.endpoint import Bounds
from mts_gateway.housekeeping import Housekeeping
from mts_gateway.new_test import Rules
from mts_gateway.origin import Origin
from mts_gateway.protocol import BoundedProtocol
from mts_gateway.reading import Reader
from mts_gateway.routes_admin import Admin
from mts_gateway.routes_commands import Commands
from mts_gateway.routes_queries import Queries
from mts_gateway.routes_service import Service
from mts_gateway.settings import GatewaySettings
from mts_gateway.settle import Settler
from mts_gateway.users import Users
from mts_gateway.warranty.app import application as warranty_application
from mts_gateway.web import Guard, application

SCHEMA = "gateway"
KEEP_ALIVE_SECONDS = 30
DRAIN_SECONDS = 15

_log = logging.getLogger(__name__)


class NotPrimary(Exception):
    """The database can be read but not written to."""


class Gateway:
    """All parts of one gateway process over an open pool and broker."""

    def __init__(self, settings: GatewaySettings, pool: Pool, broker: Broker) -> None:
        self._settings = settings
        self._pool = pool
        self._broker = broker
        self._own = Statements("mts_gateway")
        self._views = Statements("mts_gateway.results")
        outbox = Outbox(SCHEMA)
        vault = Vault(key.get_secret_value() for key in settings.meter_keys)
        self.relay = Relay(pool, outbox, broker.publisher)
        self.admission = Admission(pool, self._own["admit"], settings.limits)
        self.users = Users(pool, self._own, settings.limits)
        self._bounds = Bounds(asyncio.Semaphore(settings.max_requests), settings.max_body_bytes)
        self.acceptor = Acceptor(pool, self._own, outbox, vault, settings.settle_after_seconds, self.relay.wake)
        self.settler = Settler(
            pool, self._own, outbox, broker.requester, settings.settle_after_seconds, self.relay.wake
        )
        self.housekeeping = Housekeeping(pool, self._own, settings.keep_days)
        stored = {"database": self._check_database, "results": self._check_views}
        self.health = Health(stored)
        self._parts = Health({**stored, "broker": broker.check})
        carbontrack = carbontrack_application()
        self.app = Origin(
            self._api(vault),
            {
                "oauth": carbontrack,
                "token": carbontrack,
                "ctapi": carbontrack,
                "fscmrestapi": warranty_application(),
            },
        )

    async def check(self) -> None:
        """Raises `StatementFault` if the schema is not the one this code is written for."""
        await self._own.check(self._pool)

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
        routers = (
            Commands(self.acceptor, canceller, rules, _now).router(),
            Queries(reader, settings.limits, _now).router(),
            Admin(Clients(self._pool, self._own), reader).router(),
            Service(self._parts, self.health).router(),
        )
        return application(routers, self.admission, openapi.document(settings.limits), self._bounds)

    async def _check_database(self) -> None:
        async with self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection:
            if await connection.fetchval(self._own["alive"]):
                raise NotPrimary

    async def _check_views(self) -> None:
        """The published views have the columns that are read."""
        await self._views.check(self._pool)


async def run(settings: GatewaySettings, stop: asyncio.Event, on_started: Callable[[int], None] | None = None) -> None:
    """Serve until `stop` is set, then finish the requests under way. `on_started` is given the port."""
    async with AsyncExitStack() as open_things:
        pool = await open_things.enter_async_context(
            database.open_pool(
                settings.postgres_url.get_secret_value(), "mts-gateway", settings.pool_size, settings.statement_seconds
            )
        )
        broker = await open_things.enter_async_context(Broker(settings.amqp_url.get_secret_value(), "mts-gateway"))
        gateway = Gateway(settings, pool, broker)
        await gateway.check()
        server = _Server(_server_config(settings, gateway.app), on_started)
        drained = asyncio.Event()
        parts = {
            "http": _serve(server, stop, drained),
            "health": serve_health(gateway.health, settings.health_host, settings.health_port),
            "admission": gateway.admission.run(),
            "acceptor": gateway.acceptor.run(),
            "relay": gateway.relay.run(),
            "settler": gateway.settler.run(),
            "housekeeping": gateway.housekeeping.run(),
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
        _log.info("listening on port %d", port, extra={"action": "listen"})
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
