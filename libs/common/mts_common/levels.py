"""Levels that the database alone knows: read now and then, within a bounded share of its time.

A reading that fails or takes too long leaves its gauges cleared: a level that is not known is not shown. Nothing else
comes of it, so that work never waits for its own measurement.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from mts_common import database, metrics
from mts_common.database import Connection, Pool, schema_statements
from mts_common.instruments import Gauge
from mts_common.vocabulary import about

PAUSE_SECONDS = 15.0
READ_SECONDS = 10.0
SHARE = 20  # a pause is at least so many times as long as the reading before it

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Levels:
    """`read` sets these gauges, and no others."""

    gauges: Sequence[Gauge[Any]]
    read: Callable[[Connection], Awaitable[None]]


async def watch(pool: Pool, schema: str, *levels: Levels) -> None:
    """Read the levels of a service, and those of its tables and connections, until cancelled."""
    every = (*levels, table_levels(schema))
    while True:
        began = time.monotonic()
        for each in every:
            await read_once(pool, each)
        took = time.monotonic() - began
        metrics.LEVELS_DURATION.set(took, {"mts.schema": schema})
        _show_connections(pool, schema)
        await asyncio.sleep(max(PAUSE_SECONDS, SHARE * took))


async def read_once(pool: Pool, levels: Levels) -> None:
    """Read some levels; a failure is logged, and clears their gauges."""
    try:
        async with asyncio.timeout(READ_SECONDS), pool.acquire(timeout=READ_SECONDS) as connection:
            await levels.read(connection)
    except (asyncpg.PostgresError, *database.UNAVAILABLE) as error:
        for gauge in levels.gauges:
            gauge.clear()
        _log.warning("levels: %s, left for the next round", type(error).__name__, extra=about("levels-unread"))


def table_levels(schema: str) -> Levels:
    """Size, rows and vacuum of a schema's tables. Partitions count as their parent."""
    sql = schema_statements(schema)

    async def read(connection: Connection) -> None:
        tables = await connection.fetch(sql["tables"])
        _show_tables(schema, tables)
        metrics.INVALID_INDEXES.set(await connection.fetchval(sql["invalid_indexes"]), {"mts.schema": schema})

    gauges = (metrics.TABLE_SIZE, metrics.TABLE_ROWS, metrics.TABLE_VACUUM_AGE, metrics.TABLE_FREEZE_AGE)
    return Levels((*gauges, metrics.INVALID_INDEXES), read)


def _show_tables(schema: str, tables: Sequence[asyncpg.Record]) -> None:
    for row in tables:
        table = row["table_name"]
        for part in ("rows", "indexes"):
            metrics.TABLE_SIZE.set(row[f"{part}_size"], {"mts.schema": schema, "mts.table": table, "mts.part": part})
        for state in ("live", "dead"):
            metrics.TABLE_ROWS.set(row[state], {"mts.schema": schema, "mts.table": table, "mts.state": state})
        metrics.TABLE_FREEZE_AGE.set(row["freeze_age"], {"mts.schema": schema, "mts.table": table})
        if row["vacuum_age"] is not None:
            metrics.TABLE_VACUUM_AGE.set(row["vacuum_age"], {"mts.schema": schema, "mts.table": table})


def _show_connections(pool: Pool, schema: str) -> None:
    idle = pool.get_idle_size()
    for state, count in (("idle", idle), ("used", pool.get_size() - idle)):
        metrics.CONNECTIONS.set(count, {"db.client.connection.pool.name": schema, "db.client.connection.state": state})
