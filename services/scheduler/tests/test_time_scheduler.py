"""Run windows and leases by the database's clock, which these tests set: no wall clock of a process counts.

`test_scheduler_windows.py` has the table of expected times; here tests are granted by them.
"""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from mts_common.database import Pool, migrate, open_pool
from mts_common.messages import FailureKind, Outcome, RunWindow

if TYPE_CHECKING:
    from conftest import Bench

MakeBench = Callable[..., "Bench"]
SetClock = Callable[[str], Awaitable[None]]

LONDON, NEW_YORK, LORD_HOWE = "Europe/London", "America/New_York", "Australia/Lord_Howe"

# A schema before pg_catalog in the search path: the statements' now() and clock_timestamp() are these.
CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.hand (at timestamptz NOT NULL);
INSERT INTO clock.hand VALUES ('2026-01-10 12:00Z');
CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT at FROM clock.hand';
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT at FROM clock.hand';
GRANT USAGE ON SCHEMA clock TO PUBLIC;
GRANT SELECT, UPDATE ON clock.hand TO PUBLIC;
"""


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[Pool]:
    """A migrated database whose clock stands where it is set."""
    url = database.url("scheduler")
    await migrate(url, "scheduler", "mts_scheduler")
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(CLOCK)
        name = urlsplit(database.admin_url).path.removeprefix("/")
        await admin.execute(f'ALTER DATABASE "{name}" SET search_path = clock, pg_catalog')
    finally:
        await admin.close()
    async with open_pool(url, "test") as pool:
        yield pool


@pytest.fixture
def set_clock(pool: Pool) -> SetClock:
    """Sets the database's clock to a time in UTC."""

    async def set_clock(text: str) -> None:
        await pool.execute("UPDATE clock.hand SET at = $1", at(text))

    return set_clock


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(opens: str, closes: str, zone: str = LONDON) -> RunWindow:
    return RunWindow(opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), zone=zone)


NIGHT = window("22:00", "06:00")


@pytest.mark.parametrize(
    ("windows", "opens", "closes"),
    [
        # London, 29 March: forward at 01:00 UTC; 25 October: back at 01:00 UTC
        ([NIGHT], "2026-03-28 22:00", "2026-03-29 05:00"),
        ([NIGHT], "2026-10-24 21:00", "2026-10-25 06:00"),
        ([window("01:30", "05:00")], "2026-03-29 01:00", "2026-03-29 04:00"),
        # New York, 8 March: forward at 07:00 UTC; 1 November: back at 06:00 UTC
        ([window("22:00", "06:00", NEW_YORK)], "2026-03-08 03:00", "2026-03-08 10:00"),
        ([window("22:00", "06:00", NEW_YORK)], "2026-11-01 02:00", "2026-11-01 11:00"),
        # Lord Howe, by half an hour; 4 October: forward at 15:30 UTC on the 3rd; 5 April: back at 15:00 UTC on the 4th
        ([window("22:00", "06:00", LORD_HOWE)], "2026-10-03 11:30", "2026-10-03 19:00"),
        ([window("22:00", "06:00", LORD_HOWE)], "2026-04-04 11:00", "2026-04-04 19:30"),
        # over midnight, and windows that overlap or adjoin, also of different zones
        ([window("23:30", "00:30")], "2026-01-10 23:30", "2026-01-11 00:30"),
        ([window("20:00", "23:00"), window("22:00", "02:00")], "2026-01-10 20:00", "2026-01-11 02:00"),
        ([window("22:00", "23:00"), window("18:00", "20:00", NEW_YORK)], "2026-01-10 22:00", "2026-01-11 01:00"),
    ],
)
async def test_an_overnight_test_is_granted_from_the_opening_to_the_close_and_told_what_is_left(
    make_bench: MakeBench, set_clock: SetClock, windows: list[RunWindow], opens: str, closes: str
) -> None:
    bench = make_bench(run_windows=windows)
    begin, end, second = at(opens), at(closes), timedelta(seconds=1)
    await set_clock(f"{begin - second:%Y-%m-%d %H:%M:%S}")
    await bench.request_many(range(1, 5), immediate=False)
    assert await bench.ask() == ()
    await set_clock(opens)
    assert (await bench.ask_one()).seconds_left == (end - begin).total_seconds()
    await set_clock(f"{end - second:%Y-%m-%d %H:%M:%S}")
    assert (await bench.ask_one()).seconds_left == 1.0
    await set_clock(closes)
    assert await bench.ask() == ()


async def test_what_is_left_of_the_window_is_told_anew_with_a_grant_that_is_repeated(
    make_bench: MakeBench, set_clock: SetClock
) -> None:
    bench = make_bench(run_windows=[NIGHT])
    await set_clock("2026-01-11 05:00")
    await bench.request(1, immediate=False)
    nonce = "00000000-0000-0000-0000-000000000001"
    assert (await bench.ask_one(nonce=nonce)).seconds_left == 3600
    await set_clock("2026-01-11 05:59")
    assert (await bench.ask_one(nonce=nonce)).seconds_left == 60


async def test_a_window_that_closes_in_a_call_does_not_end_it_but_its_repeat_waits_for_the_next(
    make_bench: MakeBench, set_clock: SetClock
) -> None:
    bench = make_bench(run_windows=[NIGHT])
    await set_clock("2026-01-11 05:59")
    await bench.request_many([1, 2], immediate=False)
    good, bad = await bench.ask(lines=2)
    await set_clock("2026-01-11 06:20")
    await bench.end(good)
    await bench.end(bad, FailureKind.DROPPED)
    assert await bench.outcomes() == {good.tests[0].test_id: Outcome.SUCCESS}
    assert await bench.ask() == ()
    await set_clock("2026-01-11 22:00")
    assert (await bench.ask_one()).tests[0].test_id == bad.tests[0].test_id


async def test_a_scheduler_that_slept_through_a_window_takes_up_the_next(
    make_bench: MakeBench, set_clock: SetClock
) -> None:
    before = make_bench(run_windows=[NIGHT])
    await set_clock("2026-01-10 21:00")
    await before.request(1, immediate=False)
    after = make_bench(run_windows=[NIGHT])
    await set_clock("2026-01-11 07:00")
    await after.leases.sweep()
    assert await after.ask() == ()
    assert await after.finished() == []
    await set_clock("2026-01-11 22:00")
    assert (await after.ask_one()).tests[0].test_id == 1


async def test_a_clock_that_jumps_forward_loses_calls_but_grants_no_address_twice(
    make_bench: MakeBench, set_clock: SetClock
) -> None:
    bench = make_bench(lease_seconds=120, quarantine_seconds=180)
    await set_clock("2026-01-10 12:00")
    await bench.request(1)
    call = await bench.ask_one()
    await bench.alive(call.call_id)
    await set_clock("2026-01-10 13:00")
    await bench.leases.sweep()
    assert (await bench.alive(call.call_id)).lost == (call.call_id,)
    assert await bench.ask() == ()
    await set_clock("2026-01-10 13:03")
    again = await bench.ask_one()
    assert again.tests[0].attempt > call.tests[0].attempt
    await bench.end(call, FailureKind.DROPPED)
    assert await bench.state(1) == "called"


async def test_a_clock_that_jumps_back_keeps_calls_and_ends_no_lease(
    make_bench: MakeBench, set_clock: SetClock
) -> None:
    bench = make_bench(lease_seconds=120)
    await set_clock("2026-01-10 12:00")
    await bench.request(1)
    call = await bench.ask_one()
    await set_clock("2026-01-10 11:00")
    assert (await bench.alive(call.call_id)).lost == ()
    await bench.leases.sweep()
    await bench.request(2)
    assert (await bench.ask_one()).tests[0].test_id == 2
    await bench.end(call)
    assert await bench.outcomes() == {1: Outcome.SUCCESS}


def test_the_scheduler_reads_no_wall_clock_of_its_own() -> None:
    """What it needs to know of the time it asks the database, which all schedulers share."""
    wall_clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
    found = []
    for file in resources.files("mts_scheduler").iterdir():
        if file.name.endswith(".py"):
            calls = (node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call))
            names = {ast.unparse(call.func) for call in calls}
            found += [f"{file.name}: {name}" for name in sorted(names & wall_clocks)]
    assert found == []
