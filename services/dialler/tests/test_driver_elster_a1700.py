"""The A1700 driver against a meter in memory."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import FailureKind, RegisterCategory, Section, SectionState
from mts_dialler.drivers.base import SurveyRange
from mts_dialler.errors import (
    BadCredentials,
    FrameGarbled,
    LineDropped,
    MeterRefused,
    MeterSilent,
    NotConfigured,
)
from mts_dialler.line import Line
from mts_dialler.protocols.elster.security import answer
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import Reply
from mts_dialler.testing.elster_meter import (
    EXTENDED,
    NOW,
    PASSWORD,
    PLAIN,
    SEED,
    Meter,
    bcd,
    day,
    framed,
    identities,
    record,
    seconds,
)
from mts_dialler.testing.reading import Reading, all_read

LONDON = ZoneInfo("Europe/London")
UTC_ZONE = ZoneInfo("UTC")


class Test(Reading):
    """One test of an A1700."""

    def __init__(self, meter: Callable[[bytes], list[Reply]], **terms: object) -> None:
        super().__init__(meter, NOW, **({"meter_type": "ELSTERA1700", "password": PASSWORD} | terms))


def half_hours(start: datetime, count: int, zone: ZoneInfo) -> list[tuple[datetime, bytes]]:
    """`count` days of the meter's clock from `start`; a row's value is its UTC start in half-hours of 2024."""
    days = []
    epoch = datetime(2024, 1, 1, tzinfo=UTC)
    for index in range(count):
        midnight = start + timedelta(days=index)
        at = midnight.replace(tzinfo=zone).astimezone(UTC)
        end = (midnight + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
        octets = day(midnight)
        while at < end:
            octets += record((at - epoch) // timedelta(minutes=30))
            at += timedelta(minutes=30)
        days.append((midnight, octets))
    return days


# --- what is read


async def test_a_meter_is_read_whole() -> None:
    meter = Meter(profile=half_hours(datetime(2024, 11, 1), 5, UTC_ZONE))
    wanted = SurveyRange(datetime(2024, 11, 2, tzinfo=UTC), datetime(2024, 11, 4, tzinfo=UTC))
    test = await Test(meter, outstation_address="1", survey=wanted).run()
    assert all_read(test)
    report = test.report
    assert test.channel.sent[0] == b"/?001!\r\n"
    assert report.serial_number == "K04M01234"
    assert report.clock is not None
    assert report.clock.meter_time == datetime(2024, 11, 5, 12, 0, 20, tzinfo=UTC)
    assert report.clock.offset_seconds == -10
    assert report.status_events == [
        "Phase A failure",
        "Phase failure (phase 3) at 2024-07-15T08:25:55Z",
        "Power down at 2024-01-15T08:00:00Z",
    ]
    assert [(p.name, p.value) for p in report.properties] == [
        ("Identification", PLAIN),
        ("Firmware", "014 issue 04"),
        ("Scheme", "TARIFF-1"),
        ("CT\\VT ratios", "CT: 600:5 VT: 1100:11"),
        ("Integration period", "30 min"),
        ("Daylight saving", "on"),
    ]
    assert report.profile_configuration == ["kWh Import"]
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"


async def test_registers_are_exact_and_named_as_in_every_family() -> None:
    test = await Test(Meter()).run()
    assert [
        (r.category, r.name, str(r.number if r.number is not None else r.text), r.units) for r in test.report.registers
    ] == [
        (RegisterCategory.MISCELLANEOUS, "Phase Failures", "48", ""),
        (RegisterCategory.MISCELLANEOUS, "Reverse Runs", "0", ""),
        (RegisterCategory.MISCELLANEOUS, "Power Downs", "1", ""),
        (RegisterCategory.ENERGY, "Active Energy Import", "3.514400", "kWh"),
        (RegisterCategory.ENERGY, "Active Energy Export", "0.198800", "kWh"),
        (RegisterCategory.ENERGY, "Reactive Energy Q1", "1.086800", "kvarh"),
        (RegisterCategory.ENERGY, "Reactive Energy Q2", "0.000000", "kvarh"),
        (RegisterCategory.ENERGY, "Reactive Energy Q3", "0.000000", "kvarh"),
        (RegisterCategory.ENERGY, "Reactive Energy Q4", "0.000000", "kvarh"),
        (RegisterCategory.ENERGY, "Apparent Energy", "0.000044", "kVAh"),
        (RegisterCategory.MISCELLANEOUS, "CDR 1", "7", ""),
        (RegisterCategory.MISCELLANEOUS, "CDR 2", "0", ""),
        (RegisterCategory.MISCELLANEOUS, "CDR 3", "0", ""),
        (RegisterCategory.TIME_OF_USE, "Active Energy Import T1", "1.000000", "kWh"),
        (RegisterCategory.TIME_OF_USE, "Active Energy Import T2", "2.500001", "kWh"),
        (RegisterCategory.MISCELLANEOUS, "Active Maximum Demand Import", "22.345000", "kW"),
        (RegisterCategory.MISCELLANEOUS, "Active Maximum Demand Import Time", "2024-11-01T08:00:00Z", ""),
        (RegisterCategory.MISCELLANEOUS, "Active Maximum Demand Import Rank 2", "12.345000", "kW"),
        (RegisterCategory.MISCELLANEOUS, "Active Maximum Demand Import Rank 2 Time", "2024-07-01T13:30:00Z", ""),
        (RegisterCategory.MISCELLANEOUS, "Active Maximum Demand Import Register 2", "5.000000", "kW"),
        (RegisterCategory.MISCELLANEOUS, "Active Maximum Demand Import Register 2 Time", "2024-11-01T09:00:00Z", ""),
        (RegisterCategory.INSTANTANEOUS, "Current L1", "5.2500", "A"),
        (RegisterCategory.INSTANTANEOUS, "Frequency", "50.0000", "Hz"),
        (RegisterCategory.INSTANTANEOUS, "Voltage L1", "230.1000", "V"),
        (RegisterCategory.INSTANTANEOUS, "Total Active Power", "-123.400", "kW"),
    ]


async def test_stamps_follow_the_daylight_saving_of_the_meter() -> None:
    on = await Test(Meter(), zone=LONDON).run()
    assert "Phase failure (phase 3) at 2024-07-15T07:25:55Z" in on.report.status_events
    assert on.registers()["Active Maximum Demand Import Rank 2 Time"] == "2024-07-01T12:30:00Z"
    off = await Test(Meter(values=identities() | {"778": b"\x00"}), zone=LONDON).run()
    assert "Phase failure (phase 3) at 2024-07-15T08:25:55Z" in off.report.status_events


async def test_a_clock_in_the_repeated_hour_is_the_nearest_of_its_two_times() -> None:
    test = Test(Meter(values=identities(datetime(2024, 10, 27, 1, 30, 5))), zone=LONDON)
    test.clock = ManualClock(datetime(2024, 10, 27, 1, 30, tzinfo=UTC))
    test.line = Line(test.channel, clock=test.clock)
    await test.run()
    assert test.report.clock is not None
    assert test.report.clock.offset_seconds == 5


async def test_an_extended_model_has_longer_counters_and_more_rates() -> None:
    values = identities() | {
        "508": bytes(8 * 31) + bcd(9000000, 8),
        "667": bytes(31) + b"\x02",
        "693": struct.pack("<HHH", 1, 2, 3)
        + bytes(12)
        + seconds(datetime(2024, 1, 2))
        + bytes(36)
        + b"\x02"
        + bytes(4),
        "694": struct.pack("<HI", 4, 60) + seconds(datetime(2024, 1, 3)) + bytes(36),
        "695": struct.pack("<H", 5) + seconds(datetime(2024, 1, 4)) + bytes(16),
    }
    test = await Test(Meter(EXTENDED, values)).run()
    assert all_read(test)
    registers = test.registers()
    assert (registers["Phase Failures"], registers["Reverse Runs"], registers["Power Downs"]) == (6, 4, 5)
    assert registers["Active Energy Export T32"] == Decimal(9)
    assert "Phase failure (phase 2) at 2024-01-02T00:00:00Z" in test.report.status_events
    assert "Reverse running at 2024-01-03T00:00:00Z" in test.report.status_events


async def test_what_this_meter_has_not_got_is_no_failure() -> None:
    values = identities()
    for identity in ("508", "510", "693", "778", "878"):
        del values[identity]
    test = await Test(Meter(values=values)).run()
    assert all_read(test)
    assert "Active Energy Import" in test.registers()


async def test_an_identity_that_makes_no_sense_costs_its_section_alone() -> None:
    test = await Test(Meter(values=identities() | {"510": b"\xff" * 288, "616": b"\xaa" * 6})).run()
    assert test.error is None
    assert test.states[Section.REGISTERS] is SectionState.PARTIAL
    assert test.states[Section.PROPERTIES] is SectionState.PARTIAL
    assert test.states[Section.CLOCK] is SectionState.READ
    assert "Active Energy Import" in test.registers()
    assert "Voltage L1" in test.registers()


# --- security


async def test_the_password_is_answered_once_and_neither_it_nor_the_answer_is_in_the_trace() -> None:
    meter = Meter()
    test = await Test(meter).run()
    trace = test.trace()
    assert meter.answers == 1
    assert b"P2" in test.channel.sent[2]
    for secret in (PASSWORD, answer(PASSWORD, SEED)):
        assert secret.encode().hex() not in trace
        assert secret not in trace


@pytest.mark.parametrize("refusal", [b"\x15", framed(b"\x01B0\x03"), framed(b"\x02(ERR5)\x03")])
async def test_a_refused_password_is_never_repeated(refusal: bytes) -> None:
    meter = Meter(password="OTHER123", refusal=refusal)
    test = await Test(meter).run()
    assert isinstance(test.error, BadCredentials)
    assert meter.answers == 1
    assert test.channel.sent[-1] == b"\x01B0\x03\x71"
    assert set(test.states.values()) == {SectionState.FAILED}


async def test_without_a_password_what_the_meter_shows_anyone_is_all_that_is_asked_for() -> None:
    meter = Meter()
    test = await Test(meter, password="").run()
    assert all_read(test)
    assert meter.answers == 0
    assert test.wanted == {Section.SERIAL_NUMBER, Section.PROPERTIES}
    assert test.report.serial_number == "K04M01234"
    assert test.report.clock is None


async def test_without_a_password_a_survey_fails_and_says_why() -> None:
    wanted = SurveyRange(NOW - timedelta(days=1), NOW)
    test = await Test(Meter(), password="", survey=wanted).run()
    assert test.error is None
    assert test.states[Section.SURVEY] is SectionState.FAILED
    assert "ERR5 (locked, or the access has expired)" in (test.sections[Section.SURVEY].error or "")
    assert test.report.failure is FailureKind.CONFIGURATION


async def test_a_meter_without_security_shows_all_without_a_password() -> None:
    meter = Meter()
    meter.locked = False
    test = await Test(meter, password="").run()
    assert test.states[Section.REGISTERS] is SectionState.READ
    assert test.report.clock is not None


async def test_access_that_expires_is_renewed_with_the_same_answer() -> None:
    def expires(reply: bytes, count: int) -> list[Reply]:
        if count in {9, 30}:
            meter.locked = True
        return [reply]

    meter = Meter(spoil=expires)
    test = await Test(meter).run()
    assert all_read(test)
    assert meter.answers == 3


async def test_an_identity_of_a_higher_level_is_partial() -> None:
    inner = Meter()

    def closed(message: bytes) -> list[Reply]:
        return [framed(b"\x02(ERR5)\x03")] if message[4:7] == b"510" else inner(message)

    test = await Test(closed).run()
    assert test.error is None
    assert test.states[Section.REGISTERS] is SectionState.PARTIAL
    assert test.sections[Section.REGISTERS].error == "identity 510: ERR5 (locked, or the access has expired)"
    assert inner.answers == 2


async def test_a_password_of_another_form_reaches_no_meter() -> None:
    test = await Test(Meter(), password="SHORT").run()
    assert isinstance(test.error, NotConfigured)
    assert "SHORT" not in str(test.error)


@pytest.mark.parametrize("identification", ["/LGZ5\\2ZMD3104407.B24", "/GEC5090510010100@000", "/GEC5090500010100@000"])
async def test_a_meter_of_another_type_is_not_read_as_an_a1700(identification: str) -> None:
    meter = Meter(identification)
    test = await Test(meter).run()
    assert isinstance(test.error, NotConfigured)
    assert meter.asked == ["B0 "]


# --- the survey


@pytest.mark.parametrize("zone", [LONDON, UTC_ZONE])
@pytest.mark.parametrize(
    ("first", "start"),
    [
        (datetime(2024, 3, 25), datetime(2024, 3, 26, tzinfo=UTC)),
        (datetime(2024, 10, 20), datetime(2024, 10, 22, tzinfo=UTC)),
    ],
)
async def test_ten_days_across_a_change_of_season_come_out_as_utc_period_starts(
    first: datetime, start: datetime, zone: ZoneInfo
) -> None:
    meter = Meter(profile=half_hours(first, 14, zone))
    wanted = SurveyRange(start, start + timedelta(days=10))
    test = await Test(meter, survey=wanted, zone=zone).run()
    assert all_read(test)
    readings = test.survey()["kWh Import"].readings
    assert [reading.start for reading in readings] == [start + timedelta(minutes=30 * i) for i in range(480)]
    epoch = datetime(2024, 1, 1, tzinfo=UTC)
    # digits times ten to the third mW, over half an hour
    assert all(r.value == Decimal((r.start - epoch) // timedelta(minutes=30)) / 2000 for r in readings)


async def test_the_days_asked_for_count_back_from_the_meters_today() -> None:
    meter = Meter(profile=half_hours(datetime(2024, 10, 1), 30, UTC_ZONE))
    wanted = SurveyRange(datetime(2024, 10, 30, tzinfo=UTC), datetime(2024, 10, 31, tzinfo=UTC))
    test = await Test(meter, survey=wanted).run()
    assert "W1 551001(0700)" in meter.asked
    assert len(test.survey()["kWh Import"].readings) == 48


async def test_a_day_that_may_end_during_the_call_counts_as_over() -> None:
    meter = Meter(
        values=identities(datetime(2024, 11, 5, 23, 57)), profile=half_hours(datetime(2024, 11, 1), 5, UTC_ZONE)
    )
    test = Test(meter, survey=SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), datetime(2024, 11, 5, 20, tzinfo=UTC)))
    test.clock = ManualClock(datetime(2024, 11, 5, 23, 57, tzinfo=UTC))
    test.line = Line(test.channel, clock=test.clock)
    await test.run()
    assert all_read(test)
    assert "W1 551001(0200)" in meter.asked


async def test_reading_stops_behind_the_wanted_range() -> None:
    meter = Meter(profile=half_hours(datetime(2024, 10, 1), 30, UTC_ZONE))
    wanted = SurveyRange(datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC))
    test = await Test(meter, survey=wanted).run()
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 48
    assert sum(each.startswith("R1 550") for each in meter.asked) == 4


async def test_a_power_cut_leaves_a_gap_and_the_cut_periods_are_marked() -> None:
    octets = (
        day(datetime(2024, 11, 5), 0x0003)
        + record(100, 1)
        + b"\xe6"
        + seconds(datetime(2024, 11, 5, 0, 40))
        + record(50, 2)
        + b"\xe5"
        + seconds(datetime(2024, 11, 5, 3, 10))
        + record(30, 3, status=0x40)
    )
    meter = Meter(profile=[(datetime(2024, 11, 5), octets)])
    test = await Test(meter, survey=SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), NOW)).run()
    assert all_read(test)
    assert [(f"{r.start:%H:%M}", r.status) for r in test.survey()["kWh Export"].readings] == [
        ("00:00", ()),
        ("00:30", ("power failure",)),
        ("03:00", ("power failure", "phase failure")),
    ]
    assert [r.value for r in test.survey()["kWh Import"].readings] == [
        Decimal("0.05"),
        Decimal("0.025"),
        Decimal("0.015"),
    ]


async def test_channels_of_unknown_scale_are_given_as_they_stand() -> None:
    meter = Meter(profile=[(datetime(2024, 11, 5), day(datetime(2024, 11, 5), 0x0101) + record(100, 7))])
    test = await Test(meter, survey=SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), NOW)).run()
    survey = test.survey()
    assert survey["kWh Import"].readings[0].value == Decimal("0.05")
    assert (survey["CDR 1"].units, survey["CDR 1"].readings[0].value) == ("", Decimal(7000))


async def test_an_empty_profile_is_read_and_nothing_invented() -> None:
    test = await Test(Meter(), survey=SurveyRange(NOW - timedelta(days=1), NOW)).run()
    assert all_read(test)
    assert test.survey() == {}


async def test_an_unknown_marker_ends_the_survey_and_names_what_is_missing() -> None:
    octets = day(datetime(2024, 11, 5)) + record(1) * 4 + b"\xf3" + record(1) * 4
    meter = Meter(profile=[(datetime(2024, 11, 5), octets)])
    test = await Test(meter, survey=SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), NOW)).run()
    assert test.error is None
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert test.sections[Section.SURVEY].error == (
        "unknown marker F3 in the load profile: not read: 2024-11-05T01:30:00Z to 2024-11-05T12:00:30Z"
    )
    assert len(test.survey()["kWh Import"].readings) == 3


async def test_a_profile_that_fills_its_last_packet_may_have_no_packet_after_it() -> None:
    inner = Meter(profile=[(datetime(2024, 11, 5), day(datetime(2024, 11, 5), 0x0081) + record(5) * 14)])

    def refuses(message: bytes) -> list[Reply]:
        return [framed(b"\x02(ERR3)\x03")] if message[4:10] == b"550002" else inner(message)

    test = await Test(refuses, survey=SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), NOW)).run()
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 14


async def test_a_profile_that_breaks_off_in_a_record_is_partial() -> None:
    inner = Meter(profile=[(datetime(2024, 11, 5), day(datetime(2024, 11, 5), 0x0083) + record(5, 6) * 20)])

    def refuses(message: bytes) -> list[Reply]:
        return [framed(b"\x02(ERR3)\x03")] if message[4:7] == b"550" and message[7:10] > b"002" else inner(message)

    wanted = SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), NOW)
    inner.values["551"] = b""
    test = await Test(refuses, survey=wanted).run()
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert "identity 550: ERR3 (wrong packet number): not read: 2024-11-05T08:00:00Z" in str(
        test.sections[Section.SURVEY].error
    )


async def test_an_unreadable_value_is_left_out_and_named() -> None:
    octets = day(datetime(2024, 11, 5)) + record(1) + b"\x00\xff\xff\xff" + record(1)
    meter = Meter(profile=[(datetime(2024, 11, 5), octets)])
    test = await Test(meter, survey=SurveyRange(datetime(2024, 11, 5, tzinfo=UTC), NOW)).run()
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert test.sections[Section.SURVEY].error == (
        "unreadable value of kWh Import: not read: 2024-11-05T00:30:00Z to 2024-11-05T01:00:00Z"
    )
    assert [f"{r.start:%H:%M}" for r in test.survey()["kWh Import"].readings] == ["00:00", "01:00"]


async def test_a_late_repeat_of_a_packet_is_found_out() -> None:
    held: list[bytes] = []

    def repeats(reply: bytes, _: int) -> list[Reply]:
        if b"E4" in reply and not held:
            held.append(reply)
            return [reply]
        if held and len(held) == 1 and len(reply) == len(held[0]):
            held.append(reply)
            return [held[0]]  # the answer that came again in place of the next
        return [reply]

    meter = Meter(profile=half_hours(datetime(2024, 11, 4), 2, UTC_ZONE), spoil=repeats)
    wanted = SurveyRange(datetime(2024, 11, 4, tzinfo=UTC), datetime(2024, 11, 5, tzinfo=UTC))
    test = await Test(meter, survey=wanted).run()
    assert len(held) == 2
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 48


async def test_equal_packets_of_an_idle_site_are_taken() -> None:
    octets = day(datetime(2024, 11, 3)) + record(0) * 80
    meter = Meter(profile=[(datetime(2024, 11, 3), octets)])
    wanted = SurveyRange(datetime(2024, 11, 3, tzinfo=UTC), NOW)
    test = await Test(meter, survey=wanted).run()
    assert test.states[Section.SURVEY] is SectionState.READ


async def test_a_line_that_drops_in_the_survey_leaves_what_was_read() -> None:
    inner = Meter(profile=half_hours(datetime(2024, 11, 1), 5, UTC_ZONE))

    def drops(message: bytes) -> list[Reply]:
        return [LineDropped("the line dropped")] if message[4:10] == b"550006" else inner(message)

    wanted = SurveyRange(datetime(2024, 11, 1, tzinfo=UTC), datetime(2024, 11, 5, tzinfo=UTC))
    test = await Test(drops, survey=wanted).run()
    assert isinstance(test.error, LineDropped)
    assert test.states[Section.SURVEY] is SectionState.PARTIAL
    assert test.states[Section.REGISTERS] is SectionState.READ
    readings = test.survey()["kWh Import"].readings
    assert readings
    assert f"not read: {readings[-1].start + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ} to 2024-11-05T00:00:00Z" in str(
        test.sections[Section.SURVEY].error
    )


# --- faults


@pytest.mark.parametrize("every", [3, 7])
async def test_damaged_and_lost_packets_are_asked_for_again(every: int) -> None:
    def spoils(reply: bytes, count: int) -> list[Reply]:
        if reply[:1] != b"\x02" or count % every:
            return [reply]
        return [] if count % 2 else [reply[:-1] + bytes([reply[-1] ^ 1])]

    meter = Meter(profile=half_hours(datetime(2024, 11, 1), 5, UTC_ZONE), spoil=spoils)
    wanted = SurveyRange(datetime(2024, 11, 1, tzinfo=UTC), datetime(2024, 11, 5, tzinfo=UTC))
    test = await Test(meter, survey=wanted).run()
    assert all_read(test)
    assert len(test.survey()["kWh Import"].readings) == 192


async def test_packets_that_are_damaged_each_time_are_garbled() -> None:
    def spoils(reply: bytes, _: int) -> list[Reply]:
        return [reply[:-1] + bytes([reply[-1] ^ 1])] if reply[:1] == b"\x02" else [reply]

    test = await Test(Meter(spoil=spoils)).run()
    assert isinstance(test.error, FrameGarbled)
    assert set(test.states.values()) == {SectionState.FAILED}


async def test_an_answer_of_another_length_is_not_taken() -> None:
    test = await Test(Meter(values=identities() | {"861": b"\x00" * 6})).run()
    assert test.states[Section.CLOCK] is SectionState.FAILED
    assert "not 7 octets" in (test.sections[Section.CLOCK].error or "")
    assert test.states[Section.REGISTERS] is SectionState.READ


async def test_values_that_are_never_ready_are_given_up() -> None:
    class Busy(Meter):
        def _write(self, identity: str, data: bytes) -> None:
            super()._write(identity, data)
            self._polls = 10_000

    test = await Test(Busy()).run()
    assert test.error is None
    assert test.states[Section.REGISTERS] is SectionState.PARTIAL
    assert test.sections[Section.REGISTERS].error == "identity 605: the values were not ready in time"
    assert test.clock.monotonic() < 65


async def test_a_meter_that_refuses_programming_mode() -> None:
    inner = Meter()
    test = await Test(lambda m: [b"\x15"] if m[:1] == b"\x06" else inner(m)).run()
    assert isinstance(test.error, MeterRefused)


async def test_a_silent_meter() -> None:
    test = await Test(lambda _: []).run()
    assert isinstance(test.error, MeterSilent)
    assert test.clock.monotonic() < 40


@pytest.mark.parametrize("cut", range(0, 400, 13))
async def test_a_call_cut_anywhere_ends_in_time_with_an_error_of_ours(cut: int) -> None:
    left = [cut]

    def cuts(reply: bytes, _: int) -> list[Reply]:
        part = reply[: left[0]]
        left[0] -= len(part)
        return [part] if part else []

    test = await Test(Meter(spoil=cuts), survey=SurveyRange(NOW - timedelta(days=1), NOW)).run()
    assert isinstance(test.error, MeterSilent | FrameGarbled)
    assert test.clock.monotonic() < 120
    assert test.states[Section.SURVEY] is SectionState.FAILED
