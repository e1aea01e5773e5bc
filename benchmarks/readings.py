"""`make readings ROWS=…`: how fast a device's month is read among many readings, and how fast readings are stored.

A year of half-hours in two channels is laid down day by day, as nightly tests bring it, and vacuumed, as PostgreSQL
does in time. The statements of the carbonTRACK API then read pages of random devices' months, and the projection of
results stores surveys of a month, next to a plain COPY of the same rows into a table of the same columns and key. No
service runs: what is measured is the database and the code that feeds it.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from mts_common import database
from mts_common.database import Connection, Pool, Statements
from mts_common.messages import (
    AttemptTimes,
    MeterData,
    Outcome,
    RegisteredDevice,
    Section,
    SectionResult,
    SectionState,
    SurveyChannel,
    SurveyReading,
    TestFinished,
    TestRequested,
    Transport,
)
from mts_results.devices import survey_rows
from mts_results.history import Attempt, History, Report
from mts_results.months import ensure_months
from mts_results.projections import measurements
from mts_results.statements import SQL
from mts_stack.postgres import PostgresServer, create_database

ROWS = 1_000_000
DAYS = 365
DAY_ROWS = 48 * 2  # of a device
PAGES = 60
PAGE_ROWS = 500
SURVEYS = 40
SURVEY_DAYS = 30
SURVEYS_AT_ONCE = 10
STATEMENT_SECONDS = 600.0
WANTED_MS = 50.0

FIRST = datetime(2025, 1, 1, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
DAY = timedelta(days=1)
CHANNELS = ("kWh Export", "kWh Import")

_OWN = Statements("benchmarks")
_API = Statements("mts_gateway.carbontrack.readings")


class Page(NamedTuple):
    """What the statements of one page took, in milliseconds, and the plan of the one that lists its records."""

    milliseconds: float
    plan: str


def main() -> int:
    """Measure and print; 0 if the pages were as quick as they must be."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with _server() as url:
        pages = asyncio.run(_measure(url, rows))
    return 0 if _late(pages) < WANTED_MS else 1


@contextmanager
def _server() -> Iterator[str]:
    """A private database with the schema of results; its URL for the superuser."""
    directory = Path(tempfile.mkdtemp(prefix="mts-readings-"))
    directory.chmod(0o711)
    server = PostgresServer(directory, durable=True)
    try:
        server.start()
        roles = create_database(server.admin_url, "readings")
        for role, package in (("gateway", "mts_gateway"), ("results", "mts_results")):
            asyncio.run(database.migrate(roles.url(role), role, package))
        yield roles.admin_url
    finally:
        server.remove()
        shutil.rmtree(directory, ignore_errors=True)


async def _measure(url: str, rows: int) -> Sequence[Page]:
    devices = max(1, rows // (DAYS * DAY_ROWS))
    console = Console()
    table = Table("what", "value", "ratio", title=f"{devices * DAYS * DAY_ROWS:,} readings of {devices:,} devices")
    async with database.open_pool(url, "bench readings", 2, STATEMENT_SECONDS) as pool:
        began = time.monotonic()
        await _fill(pool, devices)
        seconds = time.monotonic() - began
        size = await pool.fetchrow(_OWN["size"])
        assert size is not None
        table.add_row("their tables and index", f"{size['bytes'] / 1024**3:,.1f} GiB in {size['months']} months")
        table.add_row("laid down by the database alone", f"{devices * DAYS * DAY_ROWS / seconds:,.0f} rows/s")
        pages = [await _page(pool, devices) for _ in range(PAGES)]
        typical = statistics.median(page.milliseconds for page in pages)
        table.add_row("a page of a device's month: median", f"{typical:,.1f} ms", f"under {WANTED_MS:,.0f} ms wanted")
        table.add_row("  95 of 100 pages within", f"{_late(pages):,.1f} ms")
        plain, stored = await _ingest(pool, devices)
        table.add_row("plain COPY into one table", f"{plain:,.0f} rows/s")
        table.add_row("surveys stored by the projection", f"{stored:,.0f} rows/s", f"{stored / plain:.2f} of COPY")
    console.print(max(pages).plan, soft_wrap=True, highlight=False)
    console.print(table)
    return pages


def _late(pages: Sequence[Page]) -> float:
    """Within how many milliseconds 95 of 100 pages were read."""
    return sorted(page.milliseconds for page in pages)[len(pages) * 95 // 100]


async def _fill(pool: Pool, devices: int) -> None:
    days = [FIRST + timedelta(days=day) for day in range(DAYS)]
    async with database.transaction(pool) as connection:
        await ensure_months(connection, "measurement", days)
    for day in days:
        await pool.execute(_OWN["fill_day"], devices, day)
    await pool.execute(SQL["count_all_periods"])
    await pool.execute(_OWN["vacuum"])


async def _page(pool: Pool, devices: int) -> Page:
    """A page of a random device's month: its records are counted, listed, and their values read."""
    device = f"{random.randint(1, devices):016d}"  # noqa: S311
    first = FIRST + timedelta(days=30 * random.randint(0, 11))  # noqa: S311
    last = first + timedelta(days=30)
    offset = PAGE_ROWS * random.randint(0, 2)  # noqa: S311
    start = first + offset * HALF_HOUR
    end = min(last, start + (PAGE_ROWS - 1) * HALF_HOUR)
    begins, ends = start.replace(hour=0, minute=0), end.replace(hour=0, minute=0) + DAY
    skip = (start - begins) // HALF_HOUR
    async with pool.acquire() as connection:
        took = [
            (await _explain(connection, "count_whole_days", [device], first + DAY, last))[0],
            (await _explain(connection, "count_part_of_day", [device], first, first + DAY - HALF_HOUR))[0],
            (await _explain(connection, "count_part_of_day", [device], last, last))[0],
            (await _explain(connection, "list_values", [device], start, end))[0],
        ]
        took_listing, plan = await _explain(connection, "list_records", [device], begins, ends, PAGE_ROWS, skip)
    return Page(sum(took) + took_listing, plan)


async def _explain(connection: Connection, name: str, *arguments: object) -> tuple[float, str]:
    """What a statement of the carbonTRACK API took, planning included, and its plan."""
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_API[name]}", *arguments)
    found: dict[str, Any] = json.loads(explained)[0]
    return found["Planning Time"] + found["Execution Time"], f"{name}: {json.dumps(_short(found['Plan']))}"


def _short(plan: dict[str, Any]) -> dict[str, Any]:
    """What of a plan tells how the rows were found."""
    names = ("Node Type", "Index Name", "Actual Total Time", "Actual Rows", "Shared Hit Blocks", "Shared Read Blocks")
    return {name: plan[name] for name in names if name in plan} | {
        "Plans": [_short(inner) for inner in plan.get("Plans", ())]
    }


async def _ingest(pool: Pool, devices: int) -> tuple[float, float]:
    """Rows stored in a second by a plain COPY, and by the projection, of surveys of the month after all others."""
    start = FIRST + timedelta(days=DAYS)
    surveys = [_survey(number + 1, f"{number % devices + 1:016d}", start) for number in range(SURVEYS)]
    rows = [
        (
            f"{number % devices + 1:016d}",
            starts_at + number // devices * timedelta(days=SURVEY_DAYS),
            name,
            value,
            start,
        )
        for number in range(SURVEYS)
        for (starts_at, name), (value, _) in survey_rows(_data(start)).items()
    ]
    columns = ("device_id", "starts_at", "channel", "value", "read_at")
    await pool.execute(_OWN["make_plain"])
    began = time.monotonic()
    async with database.transaction(pool) as connection:
        await connection.copy_records_to_table("plain", schema_name="results", columns=columns, records=rows)
    copied = time.monotonic()
    for place in range(0, SURVEYS, SURVEYS_AT_ONCE):
        async with database.transaction(pool) as connection:
            await measurements.apply(connection, surveys[place : place + SURVEYS_AT_ONCE])
    return len(rows) / (copied - began), len(rows) / (time.monotonic() - copied)


def _data(start: datetime) -> MeterData:
    periods = [start + number * HALF_HOUR for number in range(SURVEY_DAYS * 48)]
    readings = tuple(SurveyReading(at, Decimal(number % 3000) / 1000) for number, at in enumerate(periods))
    return MeterData(survey=tuple(SurveyChannel(name=name, units="kWh", readings=readings) for name in CHANNELS))


def _survey(test_id: int, device_id: str, start: datetime) -> History:
    times = AttemptTimes(started_at=start, ended_at=start)
    report = Report(times, {Section.SURVEY: SectionResult(state=SectionState.READ)}, _data(start))
    return History(
        test_id,
        request=TestRequested(
            test_id=test_id,
            client_id=1,
            meter_type="ELSTERA1700",
            remote_address="meter.example:1153",
            canonical_address="meter.example:1153",
            transport=Transport.TCP,
            immediate=True,
            received_at=start,
            device=RegisteredDevice(device_id=device_id),
        ),
        attempts=(Attempt(1, report),),
        finished=TestFinished(test_id=test_id, attempt=1, outcome=Outcome.SUCCESS, finished_at=start),
    )


if __name__ == "__main__":
    sys.exit(main())
