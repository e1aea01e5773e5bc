"""The A1140 as a type of the A1700 driver, against a meter in memory."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mts_common.messages import Section, SectionState
from mts_dialler.drivers import elster_types
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.elster_a1700 import ElsterDriver
from mts_dialler.errors import NotConfigured
from mts_dialler.line import Line
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import AnsweringChannel
from mts_dialler.testing.elster_meter import NOW, PASSWORD, PLAIN, Meter, bcd, maximum, record, seconds

A1140 = "/GEC5090510010400@000"
MASK, PERIOD = 0x4081, 0x09  # import, apparent export, CDR 1; half-hours, no summer time
DRIVER = ElsterDriver(elster_types.A1140)


def identities() -> dict[str, bytes]:
    energies = [bcd(1000000 * number, 8) for number in range(1, 9)]
    return {
        "507": b"".join(energies) + bytes(8 * 6) + bcd(14, 8) + bcd(15, 8),
        "508": bcd(2500001, 8) + bcd(500000, 8) + bytes(8 * 14),
        "510": maximum(datetime(2024, 11, 1, 8, 0), 8, 22345000) + bytes(12 * 23),
        "616": bytes.fromhex("0000EA60000001F4"),
        "614": bytes.fromhex("00010000000100"),
        "667": bytes([1, 8]) + bytes(14),
        "691": struct.pack("<H", 2) + seconds(datetime(2024, 10, 1, 9, 0)) + bytes(8),
        "693": bytes(17),
        "694": bytes(14),
        "724": bytes(8),
        "777": struct.pack(">H", MASK),
        "778": b"\x00",
        "798": b"------------A123",
        "863": seconds(datetime(2024, 11, 5, 12, 0, 20)) + bytes(12),
        "998": b"1-02-03     ",
    }


def days(count: int) -> list[tuple[datetime, bytes]]:
    """Whole days up to the one before `NOW`'s; each row holds its number."""
    found = []
    for back in range(count, 0, -1):
        midnight = NOW.replace(tzinfo=None, hour=0, minute=0, second=0) - timedelta(days=back)
        marker = b"\xe4" + seconds(midnight) + struct.pack(">HB", MASK, PERIOD)
        found.append((midnight, marker + b"".join(record(row, row, row) for row in range(1, 49))))
    return found


class Test:
    """The driver, a meter, and what came of it."""

    __test__ = False

    def __init__(self, meter: Meter, wanted: SurveyRange | None = None) -> None:
        clock = ManualClock(NOW)
        self.meter = meter
        self.channel = AnsweringChannel(clock, meter)
        self.line = Line(self.channel, clock=clock)
        self.report = ReportBuilder()
        self.terms = Terms(1, "ELSTERA1140", password=PASSWORD, survey=wanted)

    async def run(self) -> Test:
        await DRIVER.read(self.line, self.terms, self.report)
        return self

    @property
    def states(self) -> set[SectionState]:
        verdicts = self.report.sections(DRIVER.sections(self.terms), "not said")
        return {verdict.state for verdict in verdicts.values()}


async def test_a_meter_is_read_whole() -> None:
    wanted = SurveyRange(datetime(2024, 11, 4, tzinfo=UTC), NOW)
    test = await Test(Meter(A1140, identities(), days(5)), wanted).run()
    report = test.report
    assert test.states == {SectionState.READ}
    assert report.serial_number == "A123"
    assert report.clock is not None
    assert report.clock.offset_seconds == -10
    assert report.status_events == ["Terminal cover opened at 2024-10-01T09:00:00Z"]
    assert [(each.name, each.value) for each in report.properties] == [
        ("Identification", A1140),
        ("Firmware", "1-02-03"),
        ("CT\\VT ratios", "CT: 600:5 VT: 1:1"),
    ]
    assert report.profile_configuration == ["kWh Import", "kVAh Export", "CDR 1"]


async def test_registers_stand_where_this_product_has_them() -> None:
    report = (await Test(Meter(A1140, identities())).run()).report
    found = {each.name: (str(each.number), each.units) for each in report.registers if each.number is not None}
    assert found == {
        "Terminal Cover Openings": ("2", ""),
        "Phase Failures": ("0", ""),
        "Reverse Runs": ("0", ""),
        "Active Energy Import": ("1.000000", "kWh"),
        "Active Energy Export": ("2.000000", "kWh"),
        "Reactive Energy Q1": ("3.000000", "kvarh"),
        "Reactive Energy Q2": ("4.000000", "kvarh"),
        "Reactive Energy Q3": ("5.000000", "kvarh"),
        "Reactive Energy Q4": ("6.000000", "kvarh"),
        "Apparent Energy": ("7.000000", "kVAh"),
        "Apparent Energy Export": ("8.000000", "kVAh"),
        "CDR 1": ("14", ""),
        "CDR 2": ("15", ""),
        "Active Energy Import T1": ("2.500001", "kWh"),
        "Apparent Energy Export T2": ("0.500000", "kVAh"),
        "Apparent Maximum Demand Export": ("22.345000", "kVA"),
        "Current L1": ("5.2500", "A"),
        "Frequency": ("50.0000", "Hz"),
        "Voltage L1": ("230.1000", "V"),
        "Total Active Power": ("-123.400", "kW"),
    }


async def test_the_survey_s_channels_follow_the_mask_of_this_product() -> None:
    wanted = SurveyRange(datetime(2024, 11, 4, tzinfo=UTC), NOW)
    test = await Test(Meter(A1140, identities(), days(5)), wanted).run()
    channels = {channel.name: channel for channel in test.report.data().survey}
    assert {name: channel.units for name, channel in channels.items()} == {
        "kWh Import": "kWh",
        "kVAh Export": "kVAh",
        "CDR 1": "",
    }
    imported = channels["kWh Import"].readings
    assert (len(imported), imported[0].start, imported[0].value) == (48, wanted.start, Decimal("0.0005"))


async def test_days_are_counted_back_from_today_in_four_octets() -> None:
    test = Test(Meter(A1140, identities(), days(5)), SurveyRange(datetime(2024, 11, 3, tzinfo=UTC), NOW))
    await test.run()
    assert [asked for asked in test.meter.asked if asked.startswith("W1 55")] == ["W1 551001(03000000)"]


EARLIER = SurveyRange(datetime(2024, 11, 1, tzinfo=UTC), datetime(2024, 11, 2, tzinfo=UTC))


async def test_days_further_back_are_asked_for_by_their_range() -> None:
    test = Test(Meter(A1140, identities(), days(5), takes_ranges=True), EARLIER)
    await test.run()
    stamps = seconds(datetime(2024, 11, 1)) + seconds(datetime(2024, 11, 3))
    assert [asked for asked in test.meter.asked if asked.startswith("W1 55")] == [f"W1 554001({stamps.hex().upper()})"]
    assert len(test.report.data().survey[0].readings) == 48
    assert test.states == {SectionState.READ}


async def test_a_meter_that_takes_no_range_is_asked_for_days() -> None:
    test = Test(Meter(A1140, identities(), days(5)), EARLIER)
    await test.run()
    assert [asked[:6] for asked in test.meter.asked if asked.startswith("W1 55")] == ["W1 554", "W1 551"]
    assert len(test.report.data().survey[0].readings) == 48
    assert test.states == {SectionState.READ}


async def test_status_bits_that_no_source_explains_are_shown_as_they_are() -> None:
    test = await Test(Meter(A1140, identities() | {"724": bytes.fromhex("0100000000000080")})).run()
    assert test.report.status_events[0] == "System status 0100000000000080"


async def test_a_clock_that_is_not_set_is_no_clock() -> None:
    test = await Test(Meter(A1140, identities() | {"863": bytes(16)})).run()
    assert test.report.clock is None
    verdict = test.report.sections(frozenset({Section.CLOCK}), "")[Section.CLOCK]
    assert (verdict.state, verdict.error) == (SectionState.FAILED, "the clock is not set")


async def test_ratios_that_are_not_there_are_left_out() -> None:
    values = identities()
    del values["614"]
    test = await Test(Meter(A1140, values)).run()
    assert ("CT\\VT ratios", "CT: 600:5") in [(each.name, each.value) for each in test.report.properties]
    assert test.states == {SectionState.READ}


@pytest.mark.parametrize(("driver", "identification"), [(elster_types.A1700, A1140), (elster_types.A1140, PLAIN)])
async def test_each_type_takes_its_own_product_alone(driver: elster_types.ElsterType, identification: str) -> None:
    test = Test(Meter(identification, identities()))
    with pytest.raises(NotConfigured, match=f"not an {driver.product}"):
        await ElsterDriver(driver).read(test.line, test.terms, test.report)
    assert test.meter.answers == 0
