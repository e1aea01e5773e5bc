"""The EDMI Atlas driver against a meter in memory."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from mts_common.messages import FailureKind, RegisterCategory, Section, SectionState
from mts_dialler.drivers.base import ReportBuilder
from mts_dialler.drivers.edmi_names import register_name, survey_name
from mts_dialler.drivers.obis import SURVEY_NAMES, define
from mts_dialler.protocols.edmi.measures import Energy, Flow, Quantity
from mts_dialler.protocols.edmi.registers import INSTANTANEOUS, Kind
from mts_dialler.protocols.iec62056_21.data_sets import Code
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.edmi_bench import DAY, INFOS, NOW, OLDEST, Test, meter, named
from mts_dialler.testing.edmi_meter import DENIED, UNKNOWN, single, text, word


def properties(report: ReportBuilder) -> dict[str, str]:
    return {each.name: each.value for each in report.properties}


async def test_a_meter_is_read_whole() -> None:
    test = Test(meter(), survey=DAY)
    report = await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert report.serial_number == "251308613"
    assert report.clock is not None
    assert (report.clock.meter_time, report.clock.offset_seconds) == (NOW - timedelta(seconds=10), -10)
    assert properties(report) == {
        "Model": "MK10A",
        "Firmware": "1.47",
        "CT\\VT ratios": "CT: 600:5 VT: 1:1",
        "Billing resets": "7",
        "Last billing reset": "2026-11-01T00:00:00Z",
        "Integration period": "30 min",
    }
    assert report.profile_configuration == ["kWh Import", "kvarh Export", "Voltage L1 average"]
    assert report.status_events == [
        "Power up at 2026-11-02T08:00:00Z",
        "Alarm tamper: became active at 2026-11-04T08:00:00Z",
    ]


async def test_registers_have_the_field_s_names_units_and_exact_values() -> None:
    report = await Test(meter()).run()
    found = [(each.category.value, each.name, str(each.number), each.text, each.units) for each in report.registers]
    assert found == [
        ("Energy", "Active Energy Import", "20330.000", None, "kWh"),
        ("Time of Use", "Active Energy Import T1", "12000.000", None, "kWh"),
        ("Time of Use", "Active Energy Import T2", "8330.000", None, "kWh"),
        ("Energy", "Reactive Energy Export", "1.500", None, "kvarh"),
        ("Miscellaneous", "Active Maximum Demand Import", "45.6785", None, "kW"),
        ("Miscellaneous", "Active Maximum Demand Import Time", "None", "2026-11-09T17:30:00Z", ""),
        ("Miscellaneous", "Reactive Maximum Demand Export", "0.000", None, "kvar"),
        ("Instantaneous", "Voltage L1", "230.1", None, "V"),
        ("Instantaneous", "Current L1", "5.25", None, "A"),
        ("Instantaneous", "Total Active Power", "-1990.000", None, "kW"),
        ("Instantaneous", "Power Factor", "0.987", None, ""),
        ("Instantaneous", "Frequency", "49.98", None, "Hz"),
    ]


async def test_rates_are_asked_for_up_to_the_first_that_there_is_not() -> None:
    for reads_many in (True, False):
        scripted = meter(reads_many=reads_many)
        scripted.registers |= {0xD880: word(0x0713), 0x1E04: single(1.0)}
        test = Test(scripted)
        assert "Active Energy Import T2" in named(await test.run())
        assert not [payload for payload in test.commands if payload.endswith(b"\x1e\x04") and len(payload) < 6]
        assert test.states()[Section.REGISTERS] is SectionState.READ


@pytest.mark.parametrize("reads_many", [True, False])
async def test_no_register_is_lost_between_two_blocks(reads_many: bool) -> None:
    scripted = meter(reads_many=reads_many)
    scripted.registers |= {number: single(number) for number in INSTANTANEOUS}
    report = await Test(scripted).run()
    momentary = [each.name for each in report.registers if each.category is RegisterCategory.INSTANTANEOUS]
    assert momentary == [name for name, _ in INSTANTANEOUS.values()]


async def test_behind_a_register_that_there_is_not_a_new_block_begins() -> None:
    test = Test(meter())
    await test.run()
    assert {"Voltage L1", "Frequency"} <= named(test.report).keys()
    assert not [payload for payload in test.commands if payload.startswith(b"R\xe0")]


async def test_a_register_that_is_refused_in_a_block_is_asked_for_alone() -> None:
    scripted = meter()
    scripted.registers[0xE033] = DENIED
    test = Test(scripted)
    await test.run()
    assert named(test.report)["Frequency"].number == Decimal("49.98")
    assert [payload for payload in test.commands if payload.startswith(b"R\xe0")] == [b"R\xe0\x33"]


async def test_a_rate_that_is_in_use_is_shown_before_it_has_counted_anything() -> None:
    scripted = meter()
    scripted.registers[0x1E02] = single(0.0)
    assert named(await Test(scripted).run())["Active Energy Import T2"].number == 0


async def test_the_answer_s_own_start_and_count_are_obeyed() -> None:
    scripted = meter(most_records=10)
    _, records = scripted.files[0]
    scripted.files[0] = (830, records[830 - OLDEST :])  # the oldest have gone since the question
    test = Test(scripted, survey=DAY)
    readings = (await test.run()).data().survey[0].readings
    assert (str(readings[0].value), str(readings[-1].value), len(readings)) == ("8.30", "8.64", 35)
    assert test.states()[Section.SURVEY] is SectionState.READ


async def test_a_meter_without_block_reading_is_read_one_by_one() -> None:
    test = Test(meter(reads_many=False), survey=DAY)
    await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert len([payload for payload in test.commands if payload.startswith(b"M")]) == 1
    assert named(test.report)["Voltage L1"].number == Decimal("230.1")


async def test_a_meter_that_tells_no_types_has_the_usual_ones() -> None:
    test = Test(meter(infos=dict.fromkeys(INFOS, UNKNOWN)))
    report = await test.run()
    assert properties(report)["CT\\VT ratios"] == "CT: 600:5 VT: 1:1"
    assert named(report)["Active Energy Import"].number == Decimal(20330)
    assert set(test.states().values()) == {SectionState.READ}


async def test_what_the_meter_denies_is_partial_and_what_it_has_not_got_is_not() -> None:
    scripted = meter()
    scripted.registers[0xE010] = DENIED
    test = Test(scripted)
    report = await test.run()
    assert test.states()[Section.REGISTERS] is SectionState.PARTIAL
    assert {"Voltage L1", "Frequency"} <= named(report).keys()
    verdict = report.sections(frozenset({Section.REGISTERS}), "")[Section.REGISTERS]
    assert verdict.error == "register E010: refused: access denied"
    assert report.failure is FailureKind.CONFIGURATION


async def test_a_clock_that_is_not_set_is_no_clock() -> None:
    scripted = meter()
    scripted.registers[0xF03D] = bytes(6)
    test = Test(scripted)
    report = await test.run()
    assert report.clock is None
    assert test.states()[Section.CLOCK] is SectionState.FAILED


async def test_half_of_the_time_on_the_way_is_taken_off_the_clock() -> None:
    scripted = meter()
    test = Test(scripted)

    def slow(_: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1] == b"R\xf0\x3d":
            test.clock.advance(4)
        return [reply]

    scripted.trouble = slow
    report = await test.run()
    assert report.clock is not None
    assert report.clock.offset_seconds == -12


async def test_alarm_flags_that_are_set_are_shown() -> None:
    scripted = meter()
    scripted.registers[0xF016] = text("---B---------R--")
    report = await Test(scripted).run()
    assert report.status_events[0] == "Alarm flags: B---------R"


@pytest.mark.parametrize(
    ("measure", "code"),
    [
        (Energy(Quantity.ACTIVE, Flow.IMPORT), "1"),
        (Energy(Quantity.ACTIVE, Flow.EXPORT), "2"),
        (Energy(Quantity.REACTIVE, Flow.Q3), "7"),
        (Energy(Quantity.APPARENT, Flow.EXPORT), "10"),
    ],
)
def test_names_are_those_of_the_other_families(measure: Energy, code: str) -> None:
    energy, demand = define(Code(code, "8", "0")), define(Code(code, "6", "2"))
    assert energy is not None
    assert demand is not None
    assert register_name(measure, Kind.ENERGY, 0).name == energy.name
    assert register_name(measure, Kind.MAXIMUM_DEMAND, 2).name == demand.name
    assert register_name(measure, Kind.MAXIMUM_DEMAND, 2).category is RegisterCategory.TIME_OF_USE
    assert survey_name(measure)[0] == SURVEY_NAMES[code]


def test_measures_that_other_families_have_not_got_have_names_in_their_manner() -> None:
    assert register_name(Energy(Quantity.ACTIVE, Flow.IMPORT, "L1"), Kind.ENERGY, 0).name == "Active Energy Import L1"
    assert register_name(Energy(Quantity.REACTIVE, Flow.ABSOLUTE), Kind.ENERGY, 3).name == "Reactive Energy Absolute T3"
    assert survey_name(Energy(Quantity.ACTIVE, Flow.Q1, "L2")) == ("kWh Q1 L2", "kWh")
