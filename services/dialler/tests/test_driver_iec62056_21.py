"""The IEC 62056-21 driver against a meter in memory: what it reads."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mts_common.catalogue import CATALOGUE
from mts_common.messages import RegisterCategory, Section, SectionState
from mts_dialler.drivers import iec_types
from mts_dialler.drivers.registry import DRIVERS
from mts_dialler.line import Line
from mts_dialler.testing.answering import AnsweringChannel, Reply
from mts_dialler.testing.iec_bench import BERLIN, LONDON, PASSWORD, READOUT, Meter, Test, data_message, days
from mts_dialler.testing.reading import all_read

CAPTURES = Path(__file__).parent / "captures"


def captured(name: str) -> str:
    lines = (CAPTURES / name).read_text().splitlines()
    return "".join(f"{line}\r\n" for line in lines if not line.startswith(("#", "/")) and len(line) > 1) + "!\r\n"


async def test_a_meter_is_read_whole() -> None:
    log = "P.98(0241101080000)(0080)()(0)\r\nP.98(0241101080500)(0040)()(0)\r\n"
    test = await Test(Meter(log=log), survey=days(1)).run()
    assert all_read(test)
    report = test.report
    assert report.serial_number == "54800102"
    assert report.clock is not None
    assert report.clock.meter_time == datetime(2024, 11, 5, 12, 0, 27, tzinfo=UTC)
    assert report.clock.offset_seconds == -3
    assert report.status_events == ["Power down at 2024-11-01T08:00:00Z", "Power up at 2024-11-01T08:05:00Z"]
    assert {(p.name, p.value) for p in report.properties} == {
        ("Identification", "/LGZ5\\2ZMD4054459.B40"),
        ("Firmware", "B40"),
    }
    assert [(r.category, r.name, r.number, r.text, r.units) for r in report.registers] == [
        (RegisterCategory.MISCELLANEOUS, "Error Register", None, "00000000", ""),
        (RegisterCategory.MISCELLANEOUS, "Serial Number", None, "54800102", ""),
        (RegisterCategory.MISCELLANEOUS, "Firmware", None, "B40", ""),
        (RegisterCategory.ENERGY, "Active Energy Import", Decimal("102.28"), None, "kWh"),
        (RegisterCategory.TIME_OF_USE, "Active Energy Import T1", Decimal("100.00"), None, "kWh"),
        (RegisterCategory.INSTANTANEOUS, "Voltage L1", Decimal("230.1"), None, "V"),
    ]
    assert report.profile_configuration == ["kWh Import", "kvarh Q1"]
    channel = test.survey()["kWh Import"]
    assert len(channel.readings) == 48
    assert channel.units == "kWh"
    assert channel.readings[0].start == datetime(2024, 11, 1, tzinfo=UTC)
    assert channel.readings[0].value == Decimal("0.25")
    assert channel.readings[-1].start == datetime(2024, 11, 1, 23, 30, tzinfo=UTC)
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


async def test_without_a_survey_the_header_over_the_newest_rows_names_the_channels() -> None:
    meter = Meter()
    test = await Test(meter).run()
    assert all_read(test)
    assert meter.commands == ["R5 P.01(02411051000;02411051200)", "R5 P.98(02410051200;)", "B0 "]
    assert test.report.profile_configuration == ["kWh Import", "kvarh Q1"]


async def test_an_mt174_is_read_out_alone() -> None:
    digits = "".join(line for line in (CAPTURES / "iskra_mt174_frame.hex").read_text().splitlines() if line[0] != "#")
    identification, _, frame = bytes.fromhex(digits).partition(b"\r\n")

    def meter(message: bytes) -> list[Reply]:
        return [identification + b"\r\n"] if message[:1] == b"/" else [frame] if message[:1] == b"\x06" else []

    test = await Test(meter, meter_type="ISKRA_MT174", password=PASSWORD).run()
    assert test.channel.sent == [b"/?!\r\n", b"\x06050\r\n", b"\x01B0\x03\x71"]
    assert test.registers() == {
        "Active Energy Import": Decimal("502.853"),
        "Active Energy Export": Decimal("98697.318"),
    }
    assert test.states[Section.SERIAL_NUMBER] is SectionState.FAILED
    assert test.sections[Section.SERIAL_NUMBER].error == "the readout shows no serial number"
    assert test.report.clock is not None
    assert test.report.clock.meter_time == datetime(2022, 1, 27, 10, 56, 44, tzinfo=UTC)


async def test_a_meter_of_no_known_type_is_put_into_programming_mode_only_for_a_survey() -> None:
    meter = Meter()
    test = await Test(meter, meter_type="IEC62056_21").run()
    assert all_read(test)
    assert meter.commands == ["B0 "]
    assert Section.PROFILE_CONFIGURATION not in test.wanted


async def test_a_meter_on_a_shared_line_is_called_by_its_address() -> None:
    test = await Test(Meter(), outstation_address="00123").run()
    assert test.channel.sent[0] == b"/?00123!\r\n"


async def test_a_meter_that_sends_its_data_unasked_is_read() -> None:
    def meter(message: bytes) -> list[Reply]:
        return [b"/SIEC2WR5\r\n" + data_message(READOUT)] if message[:1] == b"/" else []

    test = await Test(meter, meter_type="IEC62056_21").run()
    assert all_read(test)


async def test_a_real_list_with_tariffs_resets_and_dip_counters() -> None:
    test = await Test(Meter(captured("lg_zmd3104407_B24.txt")), meter_type="IEC62056_21", zone=BERLIN).run()
    registers = test.registers()
    assert registers["Active Energy Import"] == Decimal("102.28")
    assert registers["Active Energy Import at reset 19"] == Decimal("101.71")
    assert registers["Reactive Energy Q1 T2"] == Decimal("0.545")
    assert registers["Active Maximum Demand Import T1"] == Decimal("0.01")
    assert registers["Active Maximum Demand Import T1 Time"] == "2017-11-02T07:30:00Z"
    assert "Active Maximum Demand Export T1 Time" not in registers
    assert registers["Voltage L3"] == Decimal("239.5")
    assert registers["32.7.0"] == "0002"
    assert registers["Power Failures"] == Decimal(197)
    assert test.report.serial_number == "95316176"
    categories = {r.name: r.category for r in test.report.registers}
    assert categories["Reactive Energy Q1 T2"] is RegisterCategory.TIME_OF_USE


async def test_a_code_that_comes_three_times_is_numbered() -> None:
    test = await Test(Meter(captured("metcom_mcs301_table1.txt")), meter_type="IEC62056_21").run()
    registers = test.registers()
    assert [registers[name] for name in ("Firmware", "Firmware (2)", "Firmware (3)")] == [
        "01.01.28",
        "02.02.13",
        "2.2.8",
    ]


async def test_glued_units_commas_and_media_other_than_electricity() -> None:
    test = await Test(Meter(captured("iskra_mt382_1008.txt")), meter_type="IEC62056_21").run()
    assert test.registers()["Active Energy Import"] == Decimal("10192.57")
    heat = "6.8(0029.055*MWh)6.26(01589.28*m3)9.21(00010213)0.0(00010213)!\r\n"
    test = await Test(Meter(heat), meter_type="IEC62056_21").run()
    assert test.registers() == {
        "6.8": Decimal("29.055"),
        "6.26": Decimal("1589.28"),
        "9.21": "00010213",
        "0.0": "00010213",
    }
    assert test.report.serial_number == "00010213"
    assert test.states[Section.CLOCK] is SectionState.FAILED


@pytest.mark.parametrize(
    ("sets", "zone", "expected"),
    [
        ("0.9.1(1130027)\r\n0.9.2(1240705)", BERLIN, datetime(2024, 7, 5, 11, 0, 27, tzinfo=UTC)),
        ("0.9.1(13:00:27)\r\n0.9.2(24-07-05)", BERLIN, datetime(2024, 7, 5, 11, 0, 27, tzinfo=UTC)),
        ("0.9.1(2130027)\r\n0.9.2(2240705)", BERLIN, datetime(2024, 7, 5, 13, 0, 27, tzinfo=UTC)),
        ("1.0.0(240705130027S)", BERLIN, datetime(2024, 7, 5, 11, 0, 27, tzinfo=UTC)),
        ("0.9.1(013000)\r\n0.9.2(241027)", LONDON, datetime(2024, 10, 27, 1, 30, tzinfo=UTC)),
    ],
)
async def test_the_clock_in_its_spellings(sets: str, zone: ZoneInfo, expected: datetime) -> None:
    test = await Test(Meter(f"{sets}\r\n1.8.0(1*kWh)\r\n!\r\n"), meter_type="IEC62056_21", zone=zone).run()
    assert test.report.clock is not None
    assert test.report.clock.meter_time == expected


async def test_the_clock_counts_from_when_it_came_not_from_the_end_of_the_list() -> None:
    class Slow(AnsweringChannel):
        async def read(self, max_bytes: int, seconds: float) -> bytes:
            data = await super().read(min(max_bytes, 64), seconds)
            test.clock.advance(1)
            return data

    test = Test(Meter(), meter_type="IEC62056_21")
    test.line = Line(Slow(test.clock, test.meter), clock=test.clock)
    await test.run()
    # The identification takes one second, and one more the first 64 characters of the list, in which the clock stands;
    # half of that one was the way to the meter.
    assert test.report.clock is not None
    assert test.report.clock.offset_seconds == -4


async def test_a_list_that_is_given_again_has_the_clock_of_the_second_time() -> None:
    def damaged_once(reply: bytes, number: int) -> list[Reply]:
        if number == 2:
            return [reply[:-1] + bytes([reply[-1] ^ 0x55])]
        if number == 3:
            test.clock.advance(20)
            return [data_message(READOUT.replace("120027", "120037"))]
        return [reply]

    test = Test(Meter(spoil=damaged_once), meter_type="IEC62056_21")
    await test.run()
    assert test.report.clock is not None
    assert test.report.clock.offset_seconds == -3


async def test_an_error_register_is_told_as_an_event() -> None:
    readout = READOUT.replace("F.F(00000000)", "F.F(00000042)")
    test = await Test(Meter(readout), meter_type="ISKRA_MT174").run()
    assert test.report.status_events == ["Error register 00000042: Parameter checksum error, Maintenance due"]
    test = await Test(Meter(readout), meter_type="IEC62056_21").run()
    assert test.report.status_events == ["Error register 00000042"]


async def test_transformer_ratios_are_a_property() -> None:
    readout = READOUT.replace("!\r\n", "0.4.2(600)\r\n0.4.5(5)\r\n0.4.3(1)\r\n!\r\n")
    test = await Test(Meter(readout), meter_type="IEC62056_21").run()
    assert {p.name: p.value for p in test.report.properties}["CT\\VT ratios"] == "CT: 600:5 VT: 1:1"


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("P.98(ER0001)", "event log: ER0001 (unknown command)"),
        ("P.98(ERROR)", None),
    ],
)
async def test_a_log_that_is_refused_is_partial_and_one_that_is_empty_is_not(log: str, error: str | None) -> None:
    test = await Test(Meter(log=log)).run()
    assert test.error is None
    assert test.sections[Section.STATUS_EVENTS].error == error


@pytest.mark.parametrize("reply", [[], [b"\x15"], [b"\x02P.98(024110108"]])
async def test_a_log_that_cannot_be_read_costs_nothing_else(reply: list[Reply]) -> None:
    inner = Meter()

    def no_log(message: bytes) -> list[Reply]:
        return reply if b"P.98" in message else inner(message)

    test = await Test(no_log, survey=days(1)).run()
    assert test.error is None
    states = test.states
    assert states.pop(Section.STATUS_EVENTS) is SectionState.PARTIAL
    assert set(states.values()) == {SectionState.READ}


async def test_events_without_a_status_are_told_by_their_values_in_order_of_time() -> None:
    log = (
        "P.98(0241104234904)(00)()(2)(0-0:C.11.0)()(0-0:C.11.10)()(4)(0)\r\n"
        "P.98(0241104234849)(00)()(1)(0-0:C.11.0)()(5)\r\n"
        "P.98(0241103000000)(8000)()(0)\r\n"
    )
    test = await Test(Meter(log=log)).run()
    assert test.report.status_events == [
        "Status 8000 at 2024-11-03T00:00:00Z",
        "Event 0-0:C.11.0 5 at 2024-11-04T23:48:49Z",
        "Event 0-0:C.11.0 4, 0-0:C.11.10 0 at 2024-11-04T23:49:04Z",
    ]


def test_every_supported_meter_type_has_its_driver() -> None:
    supported = {name for name, meter in CATALOGUE.items() if meter.supported}
    assert DRIVERS.keys() == supported


def test_a_type_that_keeps_no_survey_is_the_one_without_a_profile_command() -> None:
    assert not CATALOGUE["ISKRA_MT174"].keeps_survey
    assert iec_types.ISKRA_MT174.profile_command is None
