"""Ranges of tests are made when needed, dropped when old, and never made again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

import asyncpg
import pytest

from mts_common.database import Pool
from mts_common.messages import AttemptReportPart
from mts_results.housekeeping import Housekeeping
from mts_results.ingest import Ingest
from mts_results.months import Months
from mts_results.partitions import Partitions

Make = Callable[..., Any]
View = Callable[[str, int], Awaitable[dict[str, Any] | None]]
KEEP_DAYS = 30
TRACE_KEEP_DAYS = 10


class Clock(Protocol):
    moment: Any

    def __call__(self) -> Any: ...


@pytest.fixture
def housekeeping(pool: Pool, partitions: Partitions, clock: Clock) -> Housekeeping:
    return Housekeeping(pool, partitions, Months(pool, 120), KEEP_DAYS, TRACE_KEEP_DAYS, clock)


async def ranges(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("SELECT first, upto, dropped_at IS NOT NULL, late FROM results.partition ORDER BY first")
    return [tuple(row) for row in rows]


async def children(pool: Pool, first: int) -> int:
    tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ $1"
    return int(await pool.fetchval(tables, f"_{first}$"))


async def test_a_partition_is_made_on_demand(pool: Pool, ingest: Ingest, view: View, requested: Make) -> None:
    await ingest.requests([requested(5), requested(12_345)])
    assert await ranges(pool) == [(0, 1000, False, 0), (12_000, 13_000, False, 0)]
    assert await view("test_search", 12_345) is not None


async def test_processes_that_need_a_partition_at_once_make_it_once(pool: Pool, clock: Clock, requested: Make) -> None:
    async with asyncio.timeout(30), asyncio.TaskGroup() as processes:
        for test_id in range(8):
            ingest = Ingest(pool, Partitions(pool, 1000), clock)
            processes.create_task(ingest.requests([requested(test_id), requested(1000 + test_id)]), name=f"{test_id}")
    assert await ranges(pool) == [(0, 1000, False, 0), (1000, 2000, False, 0)]


async def test_making_a_partition_waits_for_no_reader_and_no_writer(
    pool: Pool, ingest: Ingest, requested: Make
) -> None:
    await ingest.requests([requested(1)])
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT * FROM results_v1.test_search")
        await other.execute("UPDATE results.test SET seen_at = seen_at")
        async with asyncio.timeout(5):
            await ingest.requests([requested(1001)])


async def test_a_new_width_leaves_the_partitions_there_are(pool: Pool, clock: Clock, requested: Make) -> None:
    for width, test_id in [(1000, 1500), (400, 900), (5000, 2500), (5000, 1), (5000, 5000)]:
        await Ingest(pool, Partitions(pool, width), clock).requests([requested(test_id)])
    assert await ranges(pool) == [
        (0, 800, False, 0),
        (800, 1000, False, 0),
        (1000, 2000, False, 0),
        (2000, 5000, False, 0),
        (5000, 10_000, False, 0),
    ]


async def test_the_partition_after_the_newest_test_is_made_ahead(
    pool: Pool, ingest: Ingest, housekeeping: Housekeeping, requested: Make
) -> None:
    await housekeeping.round()
    assert await ranges(pool) == []
    await ingest.requests([requested(1)])
    await housekeeping.round()
    await housekeeping.round()
    assert await ranges(pool) == [(0, 1000, False, 0), (1000, 2000, False, 0)]


async def test_a_table_that_comes_later_gets_the_partitions_there_are(
    pool: Pool, ingest: Ingest, requested: Make
) -> None:
    await ingest.requests([requested(1)])
    await pool.execute("CREATE TABLE results.extra (test_id bigint PRIMARY KEY) PARTITION BY RANGE (test_id)")
    await pool.execute("SELECT results.fill_partition(first, upto) FROM results.partition WHERE dropped_at IS NULL")
    await pool.execute("INSERT INTO results.extra VALUES (1)")


@pytest.fixture
async def dropped(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make, finished: Make
) -> None:
    """Tests 0..999 have been dropped, test 1000 is there."""
    await ingest.requests([requested(1), requested(999)])
    await ingest.outcomes([finished(1, None)])
    clock.moment += timedelta(days=KEEP_DAYS, seconds=1)
    await ingest.requests([requested(1000)])
    await housekeeping.round()


async def test_a_partition_whose_newest_test_is_old_is_dropped_whole(pool: Pool, dropped: None, view: View) -> None:
    assert await ranges(pool) == [(0, 1000, True, 0), (1000, 2000, False, 0), (2000, 3000, False, 0)]
    assert (await children(pool, 0), await children(pool, 1000)) == (0, 9)
    assert await view("test_status", 1) is None
    assert await view("test_search", 1000) is not None


async def test_what_arrives_for_a_dropped_partition_is_counted_and_dropped(
    pool: Pool,
    dropped: None,
    ingest: Ingest,
    view: View,
    requested: Make,
    report: Make,
    call: Make,
    finished: Make,
    cancelled: Make,
) -> None:
    await ingest.requests([requested(1), requested(2), requested(1001)])
    await ingest.reports([report(1, 1), AttemptReportPart(test_id=2, attempt=1, part=0, parts=2, body=b"")])
    await ingest.calls([call(1, 1)])
    await ingest.outcomes([finished(1), cancelled(3)])
    assert (await ranges(pool))[0] == (0, 1000, True, 7)
    assert await children(pool, 0) == 0
    assert await view("test_search", 1001) is not None
    assert await pool.fetchval("SELECT count(*) FROM results.report_part") == 0


async def test_a_process_that_has_not_heard_of_the_drop_drops_what_is_late_too(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make
) -> None:
    other = Ingest(pool, Partitions(pool, 1000), clock)
    await other.requests([requested(1)])
    clock.moment += timedelta(days=KEEP_DAYS, seconds=1)
    await ingest.requests([requested(1000)])
    await housekeeping.round()
    await other.requests([requested(2), requested(1001)])
    assert (await ranges(pool))[0] == (0, 1000, True, 1)
    assert await children(pool, 0) == 0


async def test_the_partition_in_use_is_kept_however_old_its_tests(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make
) -> None:
    await ingest.requests([requested(1)])
    await housekeeping.round()
    clock.moment += timedelta(days=10 * KEEP_DAYS)
    await housekeeping.round()
    await ingest.requests([requested(2)])
    assert await ranges(pool) == [(0, 1000, False, 0), (1000, 2000, False, 0)]


async def test_a_partition_with_a_test_young_enough_is_kept(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make
) -> None:
    await ingest.requests([requested(1)])
    clock.moment += timedelta(days=KEEP_DAYS)
    await ingest.requests([requested(2), requested(1000)])
    clock.moment += timedelta(days=1)
    await housekeeping.round()
    assert (await ranges(pool))[0] == (0, 1000, False, 0)


async def test_a_partition_that_is_being_read_is_dropped_in_a_later_round(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make
) -> None:
    await ingest.requests([requested(1)])
    clock.moment += timedelta(days=KEEP_DAYS, seconds=1)
    await ingest.requests([requested(1000)])
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("SELECT * FROM results.test")
        await housekeeping.round()
        assert (await ranges(pool))[0] == (0, 1000, False, 0)
    await housekeeping.round()
    assert (await ranges(pool))[0] == (0, 1000, True, 0)


async def traces(pool: Pool) -> list[int]:
    rows = await pool.fetch("SELECT test_id FROM results_v1.wire_trace ORDER BY test_id")
    return [row["test_id"] for row in rows]


async def test_wire_traces_go_before_their_tests_and_late_ones_with_the_next_round(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make, report: Make, view: View
) -> None:
    await ingest.requests([requested(1), requested(2)])
    await ingest.reports([report(1, 1)])
    clock.moment += timedelta(days=TRACE_KEEP_DAYS, seconds=1)
    await ingest.reports([report(1000, 1)])
    await housekeeping.round()
    assert await traces(pool) == [1000]
    assert await view("test_search", 1) is not None
    await ingest.reports([report(2, 1)])
    assert await traces(pool) == [2, 1000]
    await housekeeping.round()
    assert await traces(pool) == [1000]
    assert await pool.fetchval("SELECT count(*) FROM results.attempt") == 3


async def test_wire_traces_that_are_being_read_are_deleted_in_a_later_round(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping, requested: Make, report: Make
) -> None:
    await ingest.requests([requested(1)])
    await ingest.reports([report(1, 1)])
    clock.moment += timedelta(days=TRACE_KEEP_DAYS, seconds=1)
    await ingest.requests([requested(1000)])
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("SELECT FROM results_v1.wire_trace")
        await housekeeping.round()
        assert await traces(pool) == [1]
    await housekeeping.round()
    assert await traces(pool) == []


async def test_stray_parts_of_reports_are_deleted(
    pool: Pool, ingest: Ingest, clock: Clock, housekeeping: Housekeeping
) -> None:
    await ingest.reports([AttemptReportPart(test_id=1, attempt=1, part=0, parts=2, body=b"")])
    clock.moment += timedelta(hours=23)
    await ingest.reports([AttemptReportPart(test_id=2, attempt=1, part=0, parts=2, body=b"")])
    clock.moment += timedelta(hours=2)
    await housekeeping.round()
    rows: list[asyncpg.Record] = await pool.fetch("SELECT test_id FROM results.report_part")
    assert [row["test_id"] for row in rows] == [2]


async def test_housekeeping_outlives_a_database_that_is_away(
    pool: Pool, housekeeping: Housekeeping, ingest: Ingest, requested: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest.requests([requested(1)])
    rounds = 0
    whole = housekeeping.round

    async def failing_once() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise ConnectionRefusedError
        await whole()

    monkeypatch.setattr(housekeeping, "round", failing_once)
    monkeypatch.setattr("mts_results.housekeeping.ROUND_SECONDS", 0.0)
    running = asyncio.ensure_future(housekeeping.run())
    async with asyncio.timeout(20):
        while len(await ranges(pool)) < 2:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
