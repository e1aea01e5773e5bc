"""The EDMI Atlas driver: the survey."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import Section, SectionState
from mts_dialler.drivers.base import SurveyRange
from mts_dialler.drivers.edmi import ATLAS, EdmiDriver
from mts_dialler.drivers.edmi_survey import Stamp
from mts_dialler.protocols.edmi.frame import Packet
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.edmi_bench import (
    DAY,
    NEXT,
    NOW,
    OLDEST,
    SURVEY_START,
    Test,
    answered,
    meter,
    packets,
    record,
    wall,
)
from mts_dialler.testing.edmi_meter import ScriptedMeter, long, word


async def test_the_survey_gives_the_start_of_each_period() -> None:
    report = await Test(meter(), survey=DAY).run()
    imported, exported, voltage = report.data().survey
    assert (imported.name, imported.units) == ("kWh Import", "kWh")
    assert len(imported.readings) == 48
    assert imported.readings[0].start == DAY.start
    # 17 days of 48 half-hours after the survey's start, and the record's time is the end of its period.
    assert str(imported.readings[0].value) == "8.17"
    assert imported.readings[-1].start == DAY.end - timedelta(minutes=30)
    assert str(imported.readings[-1].value) == "8.64"
    assert (exported.name, exported.units, str(exported.readings[0].value)) == ("kvarh Export", "kvarh", "0.408")
    assert (voltage.units, str(voltage.readings[0].value)) == ("V", "230.0")


async def test_the_stamp_of_a_record_can_be_set_to_the_start_of_its_period() -> None:
    driver = EdmiDriver(replace(ATLAS, stamp=Stamp.START))
    report = await Test(meter(), survey=DAY, driver=driver).run()
    assert str(report.data().survey[0].readings[0].value) == "8.16"


async def test_the_meter_s_clock_and_survey_run_on_standard_time_all_year() -> None:
    scripted = meter()
    scripted.registers[0xF03D] = wall(datetime(2026, 7, 1, 12, 0))
    test = Test(scripted, survey=DAY, zone=ZoneInfo("Europe/Berlin"))
    report = await test.run()
    assert report.clock is not None
    assert report.clock.meter_time == datetime(2026, 7, 1, 11, 0, tzinfo=UTC)
    assert str(report.data().survey[0].readings[0].value) == "8.19"


async def test_only_the_records_that_are_kept_are_asked_for() -> None:
    everything = SurveyRange(datetime(2026, 10, 1, tzinfo=UTC), NOW)
    test = Test(meter(), survey=everything)
    report = await test.run()
    asked = [payload for payload in test.commands if payload.startswith(b"F0")]
    assert [payload[3:] for payload in asked] == [
        long(OLDEST) + word(292),
        long(OLDEST + 292) + word(292),
        long(OLDEST + 584) + word(NEXT - OLDEST - 584),
    ]
    readings = report.data().survey[0].readings
    assert len(readings) == NEXT - OLDEST
    assert readings[-1].start == NOW - timedelta(minutes=30)
    assert test.states()[Section.SURVEY] is SectionState.READ


@pytest.mark.parametrize(
    ("register", "number"), [(0xD802, -5), (0xD802, 2**31 - 1), (0xD804, 2**31 - 1), (0xD804, -1), (0xD802, 10**6)]
)
async def test_record_numbers_out_of_all_bounds_do_no_harm(register: int, number: int) -> None:
    scripted = meter()
    scripted.registers[register] = long(number)
    test = Test(scripted, survey=SurveyRange(datetime(1999, 1, 1, tzinfo=UTC), NOW))
    await test.run()
    assert test.states()[Section.REGISTERS] is SectionState.READ


async def test_records_from_far_away_are_not_taken() -> None:
    scripted = meter()

    def far(_: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1].startswith(b"F0"):
            return [answered(scripted, reply, b"F0\x00" + b"\xff" * 4 + word(2) + record(1) * 2)]
        return [reply]

    scripted.trouble = far
    test = Test(scripted, survey=DAY)
    await test.run()
    assert test.report.data().survey[0].readings == ()


async def test_absent_records_are_left_out_and_suspect_ones_are_marked() -> None:
    scripted = meter()
    _, records = scripted.files[0]
    records[818 - OLDEST] = record(818, 0)
    records[819 - OLDEST] = record(819, 7)
    test = Test(scripted, survey=DAY)
    readings = (await test.run()).data().survey[0].readings
    assert DAY.start + timedelta(minutes=30) not in {reading.start for reading in readings}
    assert readings[1] == (DAY.start + timedelta(hours=1), Decimal("8.19"), ("period cut short", "power failure"))
    assert test.states()[Section.SURVEY] is SectionState.READ


async def test_a_survey_that_moves_on_is_read_again() -> None:
    scripted = meter()
    answers = iter([OLDEST, OLDEST + 1, OLDEST + 1, OLDEST + 1])

    def moving(_: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1] == b"R\xd8\x02":
            scripted.registers[0xD802] = long(next(answers))
            return [rewritten(scripted, reply)]
        return [reply]

    scripted.trouble = moving
    test = Test(scripted, survey=DAY)
    await test.run()
    assert len([payload for payload in test.commands if payload.startswith(b"F0")]) == 2
    assert test.states()[Section.SURVEY] is SectionState.READ
    assert len(test.report.data().survey[0].readings) == 48


async def test_a_survey_that_never_stands_still_is_partial() -> None:
    scripted = meter()
    numbers = iter(range(OLDEST, OLDEST + 100))

    def moving(_: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1] == b"R\xd8\x02":
            scripted.registers[0xD802] = long(next(numbers))
            return [rewritten(scripted, reply)]
        return [reply]

    scripted.trouble = moving
    test = Test(scripted, survey=DAY)
    await test.run()
    assert test.states()[Section.SURVEY] is SectionState.PARTIAL


def rewritten(scripted: ScriptedMeter, reply: Reply) -> bytes:
    """The reply made anew from the registers as they are now."""
    assert isinstance(reply, bytes)
    [packet] = packets(reply)
    return Packet(packet.destination, packet.source, packet.sequence, scripted.answer(scripted.asked[-1])).encode()


async def test_the_survey_with_the_half_hour_energies_is_chosen() -> None:
    scripted = meter()
    scripted.registers |= {
        0xD806: word(10 << 6 | 3),
        0xD807: word(30 << 6 | 1),
        0xD860: word(0x0013),
        0xD803: long(0),
        0xD805: long(900),
        0xD8B1: wall(SURVEY_START),
    }
    scripted.files[1] = (0, [number.to_bytes(2, "little") + b"\x01" for number in range(900)])
    report = await Test(scripted, survey=DAY).run()
    assert report.profile_configuration == ["kWh Import"]
    assert str(report.data().survey[0].readings[0].value) == "0.817"


async def test_a_meter_without_a_survey_says_so() -> None:
    scripted = meter()
    del scripted.registers[0xD806]
    test = Test(scripted, survey=DAY)
    report = await test.run()
    assert test.states()[Section.PROFILE_CONFIGURATION] is SectionState.READ
    assert report.profile_configuration == []
    assert test.states()[Section.SURVEY] is SectionState.FAILED
