"""Reading records from the published views: how many there are, and one page of them.

Records are counted by day, so that a page far down is looked for on its own days and not from the first record on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import asyncpg

from mts_common import database
from mts_common.database import Connection, Pool
from mts_gateway.carbontrack.paging import Page
from mts_gateway.carbontrack.power import TOTAL, Interval

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)

Key = tuple[str, datetime]
"""Device and start of the interval."""
Channels = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of a device for the interval from `starts_at`."""

    device_id: str
    starts_at: datetime
    interval: Interval


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, both ends included, and how many of the records in it to leave out."""

    start: datetime
    end: datetime
    skip: int = 0

    def narrowed(self, days: Sequence[tuple[datetime, int]], size: int) -> Span:
        """The days of this stretch that hold the `size` records after the skipped ones. `days` are those with records,
        in order, with their numbers.
        """
        first, last, before, seen = self.start, self.start, 0, 0
        for day, records in days:
            if seen + records <= self.skip:
                before = seen + records
            elif seen < self.skip + size:
                first = first if seen > before else max(self.start, day)
                last = min(self.end, day + _DAY - _INSTANT)
            seen += records
        return Span(first, last, self.skip - before)


class Records:
    """Reads records of devices. `sql` are the statements that read the published views."""

    def __init__(self, pool: Pool, sql: Mapping[str, str]) -> None:
        self._pool = pool
        self._sql = sql

    async def find(
        self, devices: Sequence[str], start: datetime, end: datetime, page: Page
    ) -> tuple[int, list[Record]]:
        """The number of all records from `start` to `end`, and the page's, by time and then device; both of one moment."""
        async with (
            self._pool.acquire(timeout=database.ACQUIRE_SECONDS) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            rows = await connection.fetch(self._sql["count_by_day"], devices, start, end)
            days = [(row["day"], row["records"]) for row in rows]
            count = sum(records for _, records in days)
            if page.offset >= count:
                return count, []
            span = Span(start, end, page.offset).narrowed(days, page.size)
            keys = await connection.fetch(
                self._sql["list_records"], devices, span.start, span.end, page.size, span.skip
            )
            return count, await self._read(connection, [(row["device_id"], row["starts_at"]) for row in keys])

    async def _read(self, connection: Connection, keys: Sequence[Key]) -> list[Record]:
        devices = sorted({device_id for device_id, _ in keys})
        rows = await connection.fetch(self._sql["list_intervals"], devices)
        kinds = {row["device_id"]: (row["interval_seconds"], row["phases"]) for row in rows}
        rows = await connection.fetch(self._sql["list_values"], devices, keys[0][1], keys[-1][1])
        values = _by_key(rows)
        earlier = {
            key: (key[0], key[1] - timedelta(seconds=kinds[key[0]][0]))
            for key in keys
            if kinds[key[0]][0] is not None and any(channel.endswith(TOTAL) for channel in values[key])
        }
        before: dict[Key, Channels] = {}
        if earlier:
            asked = list(zip(*earlier.values(), strict=True))
            before = _by_key(await connection.fetch(self._sql["list_totals"], *asked))
        return [
            Record(*key, Interval(*kinds[key[0]], values[key], before.get(earlier.get(key, key), {}))) for key in keys
        ]


def _by_key(rows: Sequence[asyncpg.Record]) -> dict[Key, Channels]:
    found: dict[Key, Channels] = {}
    for row in rows:
        found.setdefault((row["device_id"], row["starts_at"]), {})[row["channel"]] = row["value"]
    return found
