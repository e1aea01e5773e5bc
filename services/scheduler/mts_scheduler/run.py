"""The scheduler's parts, put together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from mts_common import database, service
from mts_common.broker import Broker
from mts_common.database import ACQUIRE_SECONDS, Pool
from mts_common.dead_letters import DeadLetters
from mts_common.health import Health, serve_health
from mts_common.levels import watch
from mts_common.outbox import Relay
from mts_common.publisher import PublishFailed
from mts_common.pulse import Pulse, Pulses
from mts_common.requests import NoReply
from mts_common.topology import (
    CALL_RELEASES,
    CALL_WANTS,
    CANCELS,
    DIALLER_ALIVES,
    JOB_CHANGES,
    JOB_LISTS,
    LINE_LISTS,
    QUARANTINE_LIFTS,
    SCHEDULER_ATTEMPTS,
    SCHEDULER_CALLS,
    SCHEDULER_DEAD,
    SCHEDULER_REQUESTS,
    SCHEDULER_REQUEUES,
    SCHEDULER_SETTLES,
)
from mts_scheduler.asks import Asks
from mts_scheduler.cancels import Cancels
from mts_scheduler.consumers import Consumers
from mts_scheduler.grants import Grants
from mts_scheduler.housekeeping import tidy
from mts_scheduler.leases import Calm, Leases
from mts_scheduler.levels import job_levels, line_levels
from mts_scheduler.operators import Operators
from mts_scheduler.settings import SchedulerSettings
from mts_scheduler.settling import Settling
from mts_scheduler.statements import SQL
from mts_scheduler.verdicts import OUTBOX

TIDY_SECONDS = 3600.0
LOOKS_PER_LEASE = 12
ROUND_SECONDS = 600.0  # what is done again and again is stuck after that

_log = logging.getLogger(__name__)


async def serve(settings: SchedulerSettings, stop: asyncio.Event) -> None:
    """Run the scheduler until `stop` is set."""
    url, amqp_url = settings.postgres_url.get_secret_value(), settings.amqp_url.get_secret_value()
    pulses = Pulses()
    async with (
        database.open_pool(url, "mts-scheduler", settings.pool_size, settings.statement_seconds) as pool,
        Broker(amqp_url, "mts-scheduler", pulses) as broker,
    ):
        await SQL.check(pool)
        await _run_parts(settings, pool, broker, pulses, stop)


async def _run_parts(
    settings: SchedulerSettings, pool: Pool, broker: Broker, pulses: Pulses, stop: asyncio.Event
) -> None:
    relay = Relay(pool, OUTBOX, broker.publisher, pulses)
    grants = Grants(pool, settings)
    asks = Asks(grants.claim, pulses)

    def changed() -> None:
        relay.wake()
        asks.wake()

    consumers = Consumers(pool, settings, changed)
    leases = Leases(pool, settings, changed)
    settling = Settling(pool, settings, broker.requester, changed)
    operators = Operators(pool, changed)
    letters = DeadLetters(pool, "scheduler", broker.publisher)
    look = min(5.0, settings.lease_seconds / LOOKS_PER_LEASE)
    calm = Calm(settings.lease_seconds, time.monotonic)

    async def sweep() -> None:
        if calm.look(await _backlog(broker)):
            await leases.sweep()

    async def every(seconds: float, name: str, work: Callable[[], Awaitable[None]]) -> None:
        with pulses.part(name) as pulse:
            await _every(seconds, name, work, pulse)

    health = Health({"database": _database_check(pool), "broker": broker.check}, pulses)
    await service.until_stopped(
        stop,
        {
            "health": serve_health(health, settings.health_host, settings.health_port),
            "levels": watch(pool, OUTBOX.schema, OUTBOX.levels, letters.levels, job_levels(grants), line_levels()),
            "relay": relay.run(),
            "asks": asks.run(),
            "requests": broker.consume(SCHEDULER_REQUESTS, consumers.requested),
            "attempts": broker.consume(SCHEDULER_ATTEMPTS, consumers.attempt_finished),
            "calls": broker.consume(SCHEDULER_CALLS, consumers.call_finished),
            "call.want": broker.serve(CALL_WANTS, asks.serve),
            "dialler.alive": broker.serve(DIALLER_ALIVES, leases.alive),
            "call.released": broker.serve(CALL_RELEASES, leases.released),
            "test.cancel": broker.serve(CANCELS, Cancels(pool, settings, changed).serve),
            "settle.requests": broker.serve(SCHEDULER_SETTLES, settling.requests),
            "jobs.list": broker.serve(JOB_LISTS, operators.list_jobs),
            "jobs.change": broker.serve(JOB_CHANGES, operators.change_jobs),
            "lines.list": broker.serve(LINE_LISTS, operators.list_lines),
            "quarantine.lift": broker.serve(QUARANTINE_LIFTS, operators.lift_quarantine),
            "dead letters": broker.collect_dead(letters),
            "dead.list": broker.serve(SCHEDULER_DEAD, letters.serve_list),
            "dead.requeue": broker.serve(SCHEDULER_REQUEUES, letters.serve_requeue),
            "sweep": every(look, "sweep", sweep),
            "settle": every(settings.settle_after_seconds, "settle", settling.settle),
            "tidy": every(TIDY_SECONDS, "tidy", lambda: tidy(pool, settings.job_keep_days)),
            "pulses": pulses.watch(),
        },
    )


async def _backlog(broker: Broker) -> int | None:
    """How many messages that could speak for a dialler wait; None if the broker does not say."""
    try:
        return await broker.backlog(SCHEDULER_ATTEMPTS) + await broker.backlog(SCHEDULER_CALLS)
    except PublishFailed:
        return None


def _database_check(pool: Pool) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            await connection.execute(SQL["check"])

    return check


async def _every(seconds: float, name: str, work: Callable[[], Awaitable[None]], pulse: Pulse) -> None:
    """Do the work again and again with a pause between; that a server is away is no reason to stop."""
    while True:
        pulse.within(seconds + ROUND_SECONDS)
        await asyncio.sleep(seconds)
        try:
            await work()
        except (NoReply, *database.UNAVAILABLE) as error:
            _log.warning("%s: %s, trying again", name, type(error).__name__)
