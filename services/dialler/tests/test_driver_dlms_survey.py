"""The DLMS driver: the survey, however the meter lets its load profile be read."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import Section, SectionState, SurveyReading
from mts_dialler.drivers.base import SurveyRange
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.protocols.cosem import date_time
from mts_dialler.protocols.cosem.date_time import ClockStatus, DateTime
from mts_dialler.protocols.cosem.values import Reader, array, octet_string, structure
from mts_dialler.testing.dlms_bench import (
    ALL_READ,
    DAY,
    HALF_HOUR,
    IMPORT,
    MIDNIGHT,
    NOW,
    STATUS,
    Bench,
    Rows,
    attributes,
    by_entry,
    by_range,
    column,
    half_hours,
    scale,
    small_meter,
    stamped,
    survey,
    surveyed,
    u8,
    u16,
    u32,
    value_at,
    whole,
)
from mts_dialler.testing.dlms_meter import Key, ScriptedMeter

BERLIN = ZoneInfo("Europe/Berlin")
PROFILE = (7, "1.0.99.1.0", 2)


async def test_a_survey_is_asked_for_by_the_day() -> None:
    bench = Bench(small_meter())
    data = await bench.read(survey=survey(2))
    selections = [apdu for apdu in bench.requests(0xC0) if apdu[1] == 1 and apdu[12] == 1]
    assert len(selections) == 2
    assert surveyed(data) == {"kWh Import (total)": whole(2)}


async def test_powers_become_energies_and_statuses_words() -> None:
    meter = small_meter()
    columns = [column(8, "0.0.1.0.0"), column(*STATUS), column(5, "1.0.1.5.0", 3), column(3, "1.0.5.29.0")]
    meter.attributes[7, "1.0.99.1.0", 3] = array([*columns, column(1, "0.0.96.11.0"), column(3, "1.0.12.7.0")])
    meter.attributes[5, "1.0.1.5.0", 4] = scale(1, 27)
    meter.attributes[3, "1.0.5.29.0", 3] = scale(-3, 32)
    meter.attributes[3, "1.0.12.7.0", 3] = scale(-1, 35)
    cells = [u8(0x82), u16(150), u16(9), u8(4), u16(2301)]
    meter.select = by_range([(MIDNIGHT + HALF_HOUR, structure([stamped(MIDNIGHT + HALF_HOUR, status=1), *cells]))])
    data = await Bench(meter).read(survey=survey())
    status = ("clock invalid", "power down")
    assert surveyed(data) == {
        "kWh Import": [SurveyReading(MIDNIGHT, Decimal("0.75"), status)],
        "kvarh Q1": [SurveyReading(MIDNIGHT, Decimal("0.000009"), status)],
        "0-0:96.11.0": [SurveyReading(MIDNIGHT, Decimal(4), status)],
        "1-0:12.7.0": [SurveyReading(MIDNIGHT, Decimal("230.1"), status)],
    }
    assert [channel.units for channel in data.survey] == ["kWh", "kvarh", "", "V"]


async def test_rows_without_times_and_unchanged_values_are_filled_in() -> None:
    meter = small_meter()
    first = structure([stamped(MIDNIGHT + HALF_HOUR), u8(0), u32(5000)])
    later = [structure([b"\x00", b"\x00", u32(5250)]), structure([b"\x00", b"\x00", b"\x00"])]
    meter.select = lambda _key, _selector: array([first, *later])
    readings = surveyed(await Bench(meter).read(survey=survey()))["kWh Import (total)"]
    assert [(reading.start, f"{reading.value}") for reading in readings] == [
        (MIDNIGHT, "5.000"),
        (MIDNIGHT + HALF_HOUR, "5.250"),
        (MIDNIGHT + 2 * HALF_HOUR, "5.250"),
    ]


async def test_rows_that_come_newest_first_are_put_in_order() -> None:
    meter = small_meter(select=by_range(half_hours()[::-1]))
    meter.attributes[7, "1.0.99.1.0", 5] = bytes.fromhex("1602")
    assert surveyed(await Bench(meter).read(survey=survey())) == {"kWh Import (total)": whole()}


async def test_a_row_of_another_width_is_reported_and_not_guessed() -> None:
    rows = half_hours()
    at = MIDNIGHT + 3 * HALF_HOUR
    bad = structure([stamped(at), u8(0), u32(1), u32(2)])
    bench = Bench(small_meter(select=by_range([(stamp, bad if stamp == at else row) for stamp, row in rows])))
    data = await bench.read(survey=survey())
    assert surveyed(data)["kWh Import (total)"] == [row for row in whole() if row.start != at - HALF_HOUR]
    assert bench.states()[Section.SURVEY] is SectionState.PARTIAL
    assert bench.error(Section.SURVEY) == (
        "a row of 4 values in place of 3: not read: 2026-03-01T01:00:00Z to 2026-03-01T01:30:00Z"
    )


async def test_periods_that_the_meter_has_not_recorded_are_left_out() -> None:
    rows = [(stamp, row) for stamp, row in half_hours() if stamp.hour != 5]
    bench = Bench(small_meter(select=by_range(rows)))
    data = await bench.read(survey=survey())
    assert len(surveyed(data)["kWh Import (total)"]) == 46
    assert bench.states() == ALL_READ
    assert "2 of 48 periods have no reading" in gzip.decompress(bench.line.trace.render()).decode()


async def test_a_period_cut_in_two_is_marked() -> None:
    rows = half_hours()
    odd = MIDNIGHT + timedelta(minutes=40)
    rows.append((odd, structure([stamped(odd), u8(0), u32(7)])))
    readings = surveyed(await Bench(small_meter(select=by_range(rows))).read(survey=survey()))["kWh Import (total)"]
    cut = [reading for reading in readings if reading.status]
    assert cut == [SurveyReading(MIDNIGHT + HALF_HOUR, Decimal("0.007"), ("period cut short",))]


async def test_stamps_at_the_beginning_are_a_setting() -> None:
    rows = [(stamp, structure([stamped(stamp), u8(0), u32(value_at(stamp + HALF_HOUR))])) for stamp, _ in half_hours()]
    profile = MeterProfile(stamps_end=False)
    data = await Bench(small_meter(select=by_range(rows)), profile).read(survey=survey())
    assert surveyed(data) == {"kWh Import (total)": whole()}


@pytest.mark.parametrize("deviation", [False, True])
async def test_a_range_is_named_with_or_without_deviation_as_the_meter_likes_it(deviation: bool) -> None:
    def picky(key: Key, selector: bytes) -> bytes | int:
        wanted = Reader(selector, 1).value()
        assert isinstance(wanted, tuple)
        assert isinstance(wanted[1], bytes)
        stamp = date_time.decode(wanted[1])
        assert stamp is not None
        if (stamp.deviation is not None) != deviation:
            return 13
        return by_range(half_hours())(key, selector)

    bench = Bench(small_meter(select=picky))
    data = await bench.read(survey=survey(2))
    assert surveyed(data) == {"kWh Import (total)": whole(2)}
    selections = [apdu for apdu in bench.requests(0xC0) if apdu[1] == 1 and apdu[12] == 1]
    assert len(selections) == (3 if deviation else 2)


async def test_a_meter_that_wants_its_columns_listed_is_told_them() -> None:
    def picky(key: Key, selector: bytes) -> bytes | int:
        return 12 if selector.endswith(b"\x01\x00") else by_range(half_hours())(key, selector)

    assert surveyed(await Bench(small_meter(select=picky)).read(survey=survey())) == {"kWh Import (total)": whole()}


@pytest.mark.parametrize("counts", [False, True])
async def test_a_meter_without_ranges_is_read_by_entry(counts: bool) -> None:
    rows = half_hours()

    def counting(key: Key, selector: bytes) -> bytes | int:
        wanted = Reader(selector, 1).value()
        if selector[0] != 2 or not isinstance(wanted, tuple):
            return 12
        first, count = wanted[:2]
        assert isinstance(first, int)
        assert isinstance(count, int)
        return array([row for _, row in rows[first - 1 : first - 1 + count]])

    bench = Bench(small_meter(select=counting if counts else by_entry(rows)))
    data = await bench.read(survey=survey(2))
    assert surveyed(data) == {"kWh Import (total)": whole(2)}
    assert bench.states() == ALL_READ


async def test_entries_are_found_where_there_are_more_rows_than_periods() -> None:
    rows = half_hours(MIDNIGHT - 2 * DAY)
    extra = [(NOW - HALF_HOUR, row) for _, row in rows[-1:]] * 120
    rows = rows[:-1] + extra + rows[-1:]
    meter = small_meter(select=by_entry(rows))
    meter.attributes[7, "1.0.99.1.0", 7] = u32(len(rows))
    assert surveyed(await Bench(meter).read(survey=survey(2))) == {"kWh Import (total)": whole(2)}


async def test_entries_may_begin_with_the_newest() -> None:
    meter = small_meter(select=by_entry(half_hours()[::-1]))
    meter.attributes[7, "1.0.99.1.0", 5] = bytes.fromhex("1602")
    bench = Bench(meter)
    data = await bench.read(survey=survey())
    assert surveyed(data) == {"kWh Import (total)": whole()}


async def test_a_meter_without_any_selection_is_read_as_a_whole() -> None:
    meter = ScriptedMeter({**attributes(), PROFILE: array([row for _, row in half_hours()])}, block=500)
    bench = Bench(meter)
    data = await bench.read(survey=survey())
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert bench.states() == ALL_READ


async def test_a_buffer_too_long_to_be_read_whole_is_not() -> None:
    meter = ScriptedMeter({**attributes(), (7, "1.0.99.1.0", 7): u32(50_000)})
    bench = Bench(meter)
    await bench.read(survey=survey())
    assert bench.error(Section.SURVEY) == (
        "load profile: no part of its 50000 rows can be chosen: type unmatched: "
        "not read: 2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z"
    )


async def test_a_meter_that_ignores_the_range_is_asked_once() -> None:
    everything = array([row for _, row in half_hours()])
    bench = Bench(small_meter(select=lambda _key, _selector: everything))
    data = await bench.read(survey=survey(2))
    assert surveyed(data) == {"kWh Import (total)": whole(2)}
    assert len([apdu for apdu in bench.requests(0xC0) if apdu[1] == 1 and apdu[12] == 1]) == 1


async def test_a_day_that_is_refused_costs_that_day() -> None:
    asked: list[bytes] = []

    def moody(key: Key, selector: bytes) -> bytes | int:
        asked.append(selector)
        return 250 if len(asked) == 2 else by_range(half_hours())(key, selector)

    bench = Bench(small_meter(select=moody))
    data = await bench.read(survey=survey(3, MIDNIGHT - DAY))
    assert len(surveyed(data)["kWh Import (total)"]) == 48 + 24
    assert bench.error(Section.SURVEY) == (
        "load profile: other reason: not read: 2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z"
    )


async def test_a_meter_that_cannot_just_now_is_asked_again() -> None:
    asked: list[bytes] = []

    def moody(key: Key, selector: bytes) -> bytes | int:
        asked.append(selector)
        return 2 if len(asked) == 1 else by_range(half_hours())(key, selector)

    assert surveyed(await Bench(small_meter(select=moody)).read(survey=survey())) == {"kWh Import (total)": whole()}


async def test_an_empty_profile_is_a_survey_without_readings() -> None:
    bench = Bench(small_meter(select=lambda _key, _selector: b"\x01\x00"))
    data = await bench.read(survey=survey())
    assert surveyed(data) == {"kWh Import (total)": []}
    assert bench.states() == ALL_READ


@pytest.mark.parametrize("tells_season", [False, True])
async def test_the_hour_that_comes_twice_is_kept_apart(tells_season: bool) -> None:
    """Without deviation in the stamps: by the season where the clock tells it, else by their order."""
    start = datetime(2025, 10, 25, 22, tzinfo=UTC)
    rows: Rows = []
    for hours in range(1, 26):
        stamp = start + timedelta(hours=hours)
        local = stamp.astimezone(BERLIN)
        status = ClockStatus.SUMMER_TIME if tells_season and local.dst() else ClockStatus(0)
        wall = DateTime(local.replace(tzinfo=None), None, status)
        rows.append((stamp, structure([octet_string(wall.encode()), u8(0), u32(hours)])))
    meter = small_meter(select=lambda _key, _selector: array([row for _, row in rows]))
    meter.attributes[7, "1.0.99.1.0", 4] = u32(3600)
    meter.attributes[8, "0.0.1.0.0", 2] = octet_string(DateTime(datetime(2026, 3, 2, 13, 0), None).encode())
    wanted = SurveyRange(start, start + timedelta(hours=25))
    data = await Bench(meter).read(survey=wanted, zone=BERLIN)
    assert [(each.start, each.value) for each in surveyed(data)["kWh Import (total)"]] == [
        (start + timedelta(hours=hours), Decimal(hours + 1) / 1000) for hours in range(25)
    ]


async def test_a_range_follows_the_meter_s_own_deviation_where_its_zone_is_not_known() -> None:
    """A clock at UTC+1 read with the zone left at UTC; the meter compares local times."""

    def local(stamp: DateTime) -> datetime:
        return (stamp.wall - timedelta(hours=1)).replace(tzinfo=UTC)

    rows = [(stamp, structure([stamped(stamp, -60), u8(0), u32(value_at(stamp))])) for stamp, _ in half_hours()]
    meter = small_meter(select=by_range(rows, local))
    meter.attributes[8, "0.0.1.0.0", 2] = stamped(NOW, -60)
    data = await Bench(meter).read(survey=survey())
    assert surveyed(data) == {"kWh Import (total)": whole()}


@pytest.mark.parametrize(
    ("attribute", "encoded", "why"),
    [
        (4, u32(0), "the load profile has no period of whole minutes: 0"),
        (4, b"\x00", "the load profile has no period of whole minutes: None"),
        (3, array([column(*IMPORT)]), "the load profile has no clock among its columns"),
        (3, u32(1), "load profile: the capture objects of a profile are no array"),
    ],
)
async def test_a_profile_that_makes_no_sense_fails_alone(attribute: int, encoded: bytes, why: str) -> None:
    meter = small_meter()
    meter.attributes[7, "1.0.99.1.0", attribute] = encoded
    bench = Bench(meter)
    await bench.read(survey=survey())
    assert bench.error(Section.PROFILE_CONFIGURATION) == bench.error(Section.SURVEY) == why
    assert bench.states()[Section.REGISTERS] is SectionState.READ
