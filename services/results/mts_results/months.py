"""Which months of readings are kept: made ahead and on demand, dropped when old."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import asyncpg

from mts_common.database import Connection, Pool, transaction
from mts_common.vocabulary import about
from mts_results.statements import SQL

TABLES = ("measurement", "register_reading")

_log = logging.getLogger(__name__)


def month_of(moment: datetime) -> datetime:
    """The beginning of the month, in UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def months_before(moment: datetime, count: int) -> datetime:
    """The beginning of the month that lies `count` months before that of `moment`."""
    month = month_of(moment)
    months = month.year * 12 + month.month - 1 - count
    return month.replace(year=max(1, months // 12), month=months % 12 + 1)


async def ensure_months(connection: Connection, table: str, moments: Iterable[datetime]) -> None:
    """Make the partitions of `table` that hold `moments`, in the caller's transaction."""
    months = sorted({month_of(moment) for moment in moments})
    if months:
        await connection.execute(SQL["ensure_months"], table, months)


class Months:
    """The months of the last `keep` and the ones to come."""

    def __init__(self, pool: Pool, keep: int) -> None:
        self._pool = pool
        self._keep = keep

    async def make_ahead(self, now: datetime) -> None:
        """Make the partitions of this month and the next."""
        async with transaction(self._pool) as connection:
            for table in TABLES:
                await ensure_months(connection, table, (now, month_of(now) + timedelta(days=31)))

    async def drop_old(self, now: datetime) -> None:
        """Drop the months that are no longer kept; one that is being read is left for later."""
        kept_from = months_before(now, self._keep)
        await self._pool.execute(SQL["set_reading_floor"], kept_from)
        for row in await self._pool.fetch(SQL["old_months"], kept_from):
            try:
                async with transaction(self._pool) as connection:
                    await connection.execute(SQL["drop_month"], row["child"])
                _log.info("dropped %s", row["child"], extra=about("drop-month"))
            except asyncpg.LockNotAvailableError:
                _log.info("%s is in use", row["child"], extra=about("drop-month"))
