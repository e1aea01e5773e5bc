"""The readings and facts of devices: from the reports of tests, in whatever order these arrive, and told once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any, Protocol

import pytest

from mts_common.database import Pool
from mts_common.messages import MeterData, Outcome, Section, SectionState
from mts_results.housekeeping import Housekeeping
from mts_results.ingest import Ingest
from mts_results.months import Months, months_before
from mts_results.partitions import Partitions
from mts_results.projections import PROJECTIONS
from mts_results.rebuild import rebuild

Make = Callable[..., Any]

DEVICE = "8796541235874587"
MIDNIGHT = datetime(2026, 2, 28, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
READ = dict.fromkeys(Section, SectionState.READ)


class Clock(Protocol):
    moment: Any

    def __call__(self) -> Any: ...


def survey(*values: str, name: str = "kWh Import", start: datetime = MIDNIGHT) -> dict[str, Any]:
    readings = [(start + place * HALF_HOUR, Decimal(value)) for place, value in enumerate(values)]
    return {"name": name, "units": "kWh", "readings": readings}


def data(*channels: dict[str, Any], **others: Any) -> MeterData:
    return MeterData.model_validate({"survey": channels, **others})


@pytest.fixture
def tested(ingest: Ingest, requested: Make, report: Make, finished: Make) -> Make:
    """A test of a device comes in: the request, the report of its one attempt, its outcome."""

    async def take(test_id: int, read: MeterData, outcome: Outcome = Outcome.SUCCESS, **device: Any) -> None:
        named = {"device_id": DEVICE, **device}
        await ingest.requests([requested(test_id, device=named)])
        await ingest.reports([report(test_id, test_id, READ, data=read, outcome=outcome)])
        await ingest.outcomes([finished(test_id, test_id, outcome=outcome)])

    return take


async def measurements(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch(
        "SELECT device_id, starts_at, channel, value::text, status FROM results_v1.measurement ORDER BY 1, 2, 3"
    )
    return [tuple(row) for row in rows]


async def values(pool: Pool) -> list[str]:
    return [row[3] for row in await measurements(pool)]


async def counts(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("SELECT device_id, day, periods FROM results_v1.period_count ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def registers(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("SELECT register, read_at, value::text FROM results_v1.register_reading ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def facts(pool: Pool) -> dict[str, Any]:
    row = await pool.fetchrow("SELECT * FROM results_v1.device_fact WHERE device_id = $1", DEVICE)
    return dict(row) if row else {}


async def told(pool: Pool) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT kind, item FROM results.outbox ORDER BY id")
    assert {row["kind"] for row in rows} <= {"readings.stored"}
    return [json.loads(row["item"]) for row in rows]


async def test_a_survey_becomes_the_measurements_of_its_device(pool: Pool, tested: Make) -> None:
    export = survey("0.10", name="kWh Export")
    export["readings"][0] = (*export["readings"][0], ("power down",))
    await tested(1, data(survey("1.50", "2"), export))
    assert await measurements(pool) == [
        (DEVICE, MIDNIGHT, "kWh Export", "0.10", ["power down"]),
        (DEVICE, MIDNIGHT, "kWh Import", "1.50", None),
        (DEVICE, MIDNIGHT + HALF_HOUR, "kWh Import", "2", None),
    ]
    assert (await facts(pool))["newest_reading_at"] == MIDNIGHT + HALF_HOUR


async def test_new_readings_are_told_once(pool: Pool, tested: Make) -> None:
    for _ in range(2):
        await tested(1, data(survey("1", "2")))
    assert await told(pool) == [
        {
            "device_id": DEVICE,
            "registers": [],
            "first_measurement": "2026-02-28T00:00:00Z",
            "last_measurement": "2026-02-28T00:30:00Z",
        }
    ]


async def test_surveys_that_overlap_and_agree_tell_what_is_new(
    pool: Pool, tested: Make, caplog: pytest.LogCaptureFixture
) -> None:
    await tested(1, data(survey("1", "2")))
    await tested(2, data(survey("2.0", "3", start=MIDNIGHT + HALF_HOUR)))
    assert [(each["first_measurement"], each["last_measurement"]) for each in await told(pool)] == [
        ("2026-02-28T00:00:00Z", "2026-02-28T00:30:00Z"),
        ("2026-02-28T01:00:00Z", "2026-02-28T01:00:00Z"),
    ]
    assert "differ" not in caplog.text


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_where_surveys_differ_the_one_read_last_stands_in_whatever_order_they_come(
    pool: Pool, tested: Make, caplog: pytest.LogCaptureFixture, order: tuple[int, ...]
) -> None:
    read = {1: "10", 2: "20", 3: "10"}
    with caplog.at_level(logging.WARNING):
        for test_id in order:
            await tested(test_id, data(survey(read[test_id], "5")))
    assert await values(pool) == ["10", "5"]
    assert f"device {DEVICE}: 1 of 2 readings differ" in caplog.text


async def test_readings_of_another_meter_are_not_the_device_s(pool: Pool, tested: Make) -> None:
    await tested(1, data(survey("1"), serial_number="K05"), serial_number="K04")
    assert await measurements(pool) == []
    assert (await facts(pool))["last_test_end"] is not None
    await tested(2, data(survey("1"), serial_number=" k04"), serial_number="K04")
    await tested(3, data(survey("2", start=MIDNIGHT + HALF_HOUR)), serial_number="K04")
    await tested(4, data(survey("3", start=MIDNIGHT + 2 * HALF_HOUR), serial_number="K05"))
    assert await values(pool) == ["1", "2", "3"]


async def test_a_failed_test_reads_nothing_and_counts_as_a_test(pool: Pool, tested: Make) -> None:
    await tested(1, data(survey("1")), Outcome.ERROR)
    assert await measurements(pool) == []
    assert (await facts(pool))["last_test_end"] == datetime(2026, 3, 1, 13, 1, tzinfo=UTC)
    await tested(2, data(survey("1")), Outcome.PARTIAL)
    assert await values(pool) == ["1"]


async def test_a_test_without_a_device_leaves_no_trace_of_one(
    pool: Pool, ingest: Ingest, requested: Make, report: Make, finished: Make
) -> None:
    await ingest.requests([requested(1)])
    await ingest.reports([report(1, 1, READ, data=data(survey("1")))])
    await ingest.outcomes([finished(1)])
    assert (await measurements(pool), await facts(pool), await told(pool)) == ([], {}, [])


async def test_the_request_may_come_last(
    pool: Pool, ingest: Ingest, requested: Make, report: Make, finished: Make
) -> None:
    await ingest.outcomes([finished(1)])
    await ingest.reports([report(1, 1, READ, data=data(survey("1")))])
    assert await measurements(pool) == []
    await ingest.requests([requested(1, device={"device_id": DEVICE})])
    assert await values(pool) == ["1"]


async def test_energy_registers_are_cumulative_readings(pool: Pool, tested: Make, energy: Make) -> None:
    others = [
        {"category": "Energy", "name": "kWh Export", "text": "n/a", "read_at": MIDNIGHT},
        {"category": "Time of Use", "name": "Rate 1", "number": "7", "read_at": MIDNIGHT},
    ]
    read = energy("102.280")
    await tested(1, read.model_copy(update={"registers": read.registers + MeterData(registers=others).registers}))
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert await registers(pool) == [("kWh Import", at, "102.280")]
    assert [each["registers"] for each in await told(pool)] == [[["kWh Import", "2026-03-01T12:00:00Z", "102.280"]]]


async def test_a_cumulative_channel_tells_the_values_at_the_ends_of_its_periods(pool: Pool, tested: Make) -> None:
    channel = survey("100", "101", "103", name="kWh Import (total)")
    channel["readings"][1] = (*channel["readings"][1], ("clock adjusted",))
    await tested(1, data(channel, survey("9", name="kWh Export (total)")))
    assert await registers(pool) == [
        ("kWh Import (total)", MIDNIGHT + HALF_HOUR, "100"),
        ("kWh Import (total)", MIDNIGHT + 3 * HALF_HOUR, "103"),
    ]
    assert await values(pool) == ["9", "100", "101", "103"]


async def test_many_cumulative_readings_are_told_in_messages_of_bounded_size(pool: Pool, tested: Make) -> None:
    await tested(1, data(survey(*map(str, range(450)), name="kWh Import (total)")))
    assert [len(each["registers"]) for each in await told(pool) if each["registers"]] == [200, 200, 50]


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
async def test_the_newest_test_that_could_tell_a_fact_has_told_it(
    pool: Pool, tested: Make, order: tuple[int, ...]
) -> None:
    read: dict[int, dict[str, Any]] = {
        1: {"properties": [{"name": "Firmware", "value": "B39"}, {"name": "Signal strength", "value": "-91 dBm"}]},
        2: {"properties": [{"name": "Firmware", "value": "B40"}]},
        3: {"properties": []},
    }
    for test_id in order:
        await tested(test_id, data(**read[test_id]))
    assert await facts(pool) == {
        "device_id": DEVICE,
        "firmware": "B40",
        "signal_strength": "-91 dBm",
        "last_test_end": datetime(2026, 3, 1, 15, 1, tzinfo=UTC),
        "newest_reading_at": None,
    }


async def test_a_rebuild_makes_the_readings_again(pool: Pool, tested: Make, energy: Make) -> None:
    await tested(1, energy("5", survey=[survey("1", "2")]))
    before = (await measurements(pool), await registers(pool), await facts(pool), await counts(pool))
    await pool.execute(
        "TRUNCATE results.measurement, results.period_count, results.register_reading, results.device_fact"
    )
    assert await rebuild(pool, list(PROJECTIONS)) == 1
    assert (await measurements(pool), await registers(pool), await facts(pool), await counts(pool)) == before


async def test_periods_are_counted_by_day_whatever_their_channels(pool: Pool, tested: Make) -> None:
    late = MIDNIGHT - timedelta(minutes=30)
    await tested(1, data(survey("1", "2", start=late), survey("3", "4", start=late, name="kWh Export")))
    yesterday = MIDNIGHT - timedelta(days=1)
    assert await counts(pool) == [(DEVICE, yesterday, 1), (DEVICE, MIDNIGHT, 1)]
    await tested(2, data(survey("1", "2", "3", start=late)))
    assert await counts(pool) == [(DEVICE, yesterday, 1), (DEVICE, MIDNIGHT, 2)]


async def test_making_a_month_waits_for_no_reader_and_no_writer(pool: Pool, tested: Make) -> None:
    await tested(1, data(survey("1")))
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT * FROM results_v1.measurement")
        await other.execute("UPDATE results.measurement SET value = value")
        await tested(2, data(survey("1", start=MIDNIGHT - timedelta(days=40))), device_id="8796541235874588")
    assert len(await measurements(pool)) == 2


@pytest.fixture
def housekeeping(pool: Pool, partitions: Partitions, clock: Clock) -> Housekeeping:
    return Housekeeping(pool, partitions, Months(pool, 2), 3000, 3000, clock)


async def months(pool: Pool) -> list[str]:
    rows = await pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'measurement\\_%' ORDER BY 1"
    )
    return [row[0].removeprefix("measurement_") for row in rows]


async def test_months_are_made_ahead_and_dropped_when_old(
    pool: Pool, tested: Make, housekeeping: Housekeeping, clock: Clock
) -> None:
    await tested(1, data(survey("1"), survey("2", start=datetime(2026, 1, 31, 23, 30, tzinfo=UTC))))
    await housekeeping.round()
    assert await months(pool) == ["2026_01", "2026_02", "2026_03", "2026_04"]
    clock.moment = datetime(2026, 4, 1, tzinfo=UTC)
    await housekeeping.round()
    assert await months(pool) == ["2026_02", "2026_03", "2026_04", "2026_05"]
    assert await values(pool) == ["1"]
    assert [day for _, day, _ in await counts(pool)] == [MIDNIGHT]


async def test_readings_of_a_dropped_month_are_not_stored_again(
    pool: Pool, tested: Make, housekeeping: Housekeeping, clock: Clock
) -> None:
    clock.moment = datetime(2026, 5, 1, tzinfo=UTC)
    await housekeeping.round()
    await tested(1, data(survey(*"123", start=datetime(2026, 2, 28, 23, tzinfo=UTC))))
    assert await values(pool) == ["3"]
    assert "2026_02" not in await months(pool)


async def test_a_month_that_is_being_read_is_dropped_in_a_later_round(
    pool: Pool, tested: Make, housekeeping: Housekeeping, clock: Clock
) -> None:
    await tested(1, data(survey("1")))
    clock.moment = datetime(2026, 6, 1, tzinfo=UTC)
    async with pool.acquire() as reader, reader.transaction():
        await reader.execute("SELECT * FROM results_v1.measurement")
        await housekeeping.round()
        assert "2026_02" in await months(pool)
    await housekeeping.round()
    assert "2026_02" not in await months(pool)


def test_months_are_counted_over_the_turn_of_a_year() -> None:
    assert months_before(datetime(2026, 2, 28, tzinfo=UTC), 2) == datetime(2025, 12, 1, tzinfo=UTC)
    assert months_before(datetime(2026, 12, 31, tzinfo=UTC), 12) == datetime(2025, 12, 1, tzinfo=UTC)
