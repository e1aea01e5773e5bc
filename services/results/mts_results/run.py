"""The service: its parts put together and run until it is told to stop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from mts_common import database
from mts_common.broker import Broker
from mts_common.consumer import Batching
from mts_common.database import Pool
from mts_common.dead_letters import DeadLetters
from mts_common.health import Health, serve_health
from mts_common.levels import watch
from mts_common.outbox import Relay
from mts_common.pulse import Pulses
from mts_common.service import until_stopped
from mts_common.topology import (
    OUTCOME_SETTLES,
    RESULTS_CALLS,
    RESULTS_DEAD,
    RESULTS_OUTCOMES,
    RESULTS_REPORTS,
    RESULTS_REQUESTS,
    RESULTS_REQUEUES,
    RESULTS_SETTLES,
)
from mts_results.devices import OUTBOX
from mts_results.housekeeping import Housekeeping
from mts_results.ingest import Ingest
from mts_results.months import Months
from mts_results.partitions import Partitions
from mts_results.settings import ResultsSettings
from mts_results.settling import Settling
from mts_results.statements import SQL

# Reports may be 8 MiB each: fewer of them are in memory at once.
_REPORTS_AT_ONCE = Batching(items=20, prefetch=20)


async def serve(settings: ResultsSettings, stop: asyncio.Event) -> None:
    """Run results until `stop` is set. Raises `database.StatementFault` if the schema is not migrated."""
    url = settings.postgres_url.get_secret_value()
    pulses = Pulses()
    async with (
        database.open_pool(url, "mts-results", settings.pool_size, settings.statement_seconds) as pool,
        Broker(settings.amqp_url.get_secret_value(), "mts-results", pulses) as broker,
    ):
        await SQL.check(pool)
        partitions = Partitions(pool, settings.partition_tests)
        months = Months(pool, settings.reading_keep_months)
        ingest = Ingest(pool, partitions, _now)
        settling = Settling(pool, lambda: broker.backlog(RESULTS_REPORTS))
        housekeeping = Housekeeping(pool, partitions, months, settings.keep_days, settings.trace_keep_days, _now)
        letters = DeadLetters(pool, "results", broker.publisher)
        health = Health({"database": lambda: _check(pool), "broker": broker.check}, pulses)
        await until_stopped(
            stop,
            {
                "requests": broker.consume(RESULTS_REQUESTS, ingest.requests),
                "reports": broker.consume(RESULTS_REPORTS, ingest.reports, _REPORTS_AT_ONCE),
                "calls": broker.consume(RESULTS_CALLS, ingest.calls),
                "outcomes": broker.consume(RESULTS_OUTCOMES, ingest.outcomes),
                "settle requests": broker.serve(RESULTS_SETTLES, settling.requests),
                "settle outcomes": broker.serve(OUTCOME_SETTLES, settling.outcomes),
                "dead letters": broker.collect_dead(letters),
                "dead.list": broker.serve(RESULTS_DEAD, letters.serve_list),
                "dead.requeue": broker.serve(RESULTS_REQUEUES, letters.serve_requeue),
                "levels": watch(pool, OUTBOX.schema, OUTBOX.levels, letters.levels),
                "housekeeping": housekeeping.run(),
                "relay": Relay(pool, OUTBOX, broker.publisher, pulses).run(),
                "health": serve_health(health, settings.health_host, settings.health_port),
                "pulses": pulses.watch(),
            },
        )


async def _check(pool: Pool) -> None:
    await pool.fetchval(SQL["check"], timeout=2.0)


def _now() -> datetime:
    return datetime.now(UTC)
