"""Reading records from the published views: how many there are, and one page of them.

Records are counted by day, from the counts of whole days that results keeps; so counting reads few measurements, and a
page far down is looked for on its own days and not from the first record on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg

from mts_gateway.carbontrack.paging import Page
from mts_gateway.carbontrack.power import TOTAL, Interval
from mts_gateway.carbontrack.reading import Reading, Snapshot

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
    """Reads records of devices. `views` has the statements that read the published views."""

    def __init__(self, views: Reading) -> None:
        self._views = views

    async def find(
        self, devices: Sequence[str], start: datetime, end: datetime, page: Page
    ) -> tuple[int, list[Record]]:
        """The number of all records from `start` to `end`, and the page's, by time and then device."""
        async with self._views.at_one_moment() as snapshot:
            days = await _count(snapshot, devices, start, end)
            count = sum(records for _, records in days)
            if page.offset >= count:
                return count, []
            span = Span(start, end, page.offset).narrowed(days, page.size)
            rows = await snapshot.fetch("list_records", devices, span.start, span.end, page.size, span.skip)
            return count, await _read(snapshot, [(row["device_id"], row["starts_at"]) for row in rows])


async def _count(
    snapshot: Snapshot, devices: Sequence[str], start: datetime, end: datetime
) -> list[tuple[datetime, int]]:
    """The days from `start` to `end` that have records, with their numbers. Whole days have been counted already."""
    first, last = _midnight(start), _midnight(end)
    days: dict[datetime, int] = {}
    parts = [(start, end)]
    if first < last:
        rows = await snapshot.fetch("count_whole_days", devices, first + _DAY, last)
        days = {row["day"]: int(row["records"]) for row in rows}
        parts = [(start, first + _DAY - _INSTANT), (last, end)]
    for part_start, part_end in parts:
        (row,) = await snapshot.fetch("count_part_of_day", devices, part_start, part_end)
        if row["records"]:
            days[_midnight(part_start)] = row["records"]
    return sorted(days.items())


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def _read(snapshot: Snapshot, keys: Sequence[Key]) -> list[Record]:
    """The records of these keys, which are in the order of time."""
    devices = sorted({device_id for device_id, _ in keys})
    values = _by_key(await snapshot.fetch("list_values", devices, keys[0][1], keys[-1][1]))
    rows = await snapshot.fetch("list_intervals", devices)
    kinds = {row["device_id"]: (row["interval_seconds"], row["phases"]) for row in rows}
    earlier = {
        (device_id, starts_at): (device_id, starts_at - timedelta(seconds=seconds))
        for device_id, starts_at in keys
        if (seconds := kinds[device_id][0]) and any(name.endswith(TOTAL) for name in values[device_id, starts_at])
    }
    before = await _totals(snapshot, earlier)
    return [Record(*key, Interval(*kinds[key[0]], values[key], before.get(key, {}))) for key in keys]


async def _totals(snapshot: Snapshot, earlier: Mapping[Key, Key]) -> dict[Key, Channels]:
    """For each key the cumulative channels of the key it is mapped to."""
    if not earlier:
        return {}
    devices, moments = zip(*earlier.values(), strict=True)
    found = _by_key(await snapshot.fetch("list_totals", devices, moments))
    return {key: found[before] for key, before in earlier.items() if before in found}


def _by_key(rows: Sequence[asyncpg.Record]) -> dict[Key, Channels]:
    found: dict[Key, Channels] = {}
    for row in rows:
        found.setdefault((row["device_id"], row["starts_at"]), {})[row["channel"]] = row["value"]
    return found
