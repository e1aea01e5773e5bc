"""The EDMI Atlas driver against a meter in memory."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import FailureKind, RegisterCategory, RegisterReading, Section, SectionState
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.edmi import ATLAS, EdmiDriver
from mts_dialler.drivers.edmi_names import register_name, survey_name
from mts_dialler.drivers.edmi_survey import Stamp
from mts_dialler.drivers.edmi_testing import (
    DENIED,
    NOT_LOGGED_IN,
    NOT_READY,
    UNKNOWN,
    ScriptedMeter,
    long,
    refusal,
    single,
    text,
    word,
)
from mts_dialler.drivers.obis import SURVEY_NAMES, define
from mts_dialler.drivers.testing import AnsweringChannel, Reply
from mts_dialler.errors import (
    BadCredentials,
    DiallerError,
    FrameGarbled,
    LineDropped,
    MeterRefused,
    MeterSilent,
    NotConfigured,
)
from mts_dialler.line import Line, LineLimits
from mts_dialler.protocols.edmi.frame import FrameReader, Packet
from mts_dialler.protocols.edmi.measures import Energy, Flow, Quantity
from mts_dialler.protocols.edmi.registers import INSTANTANEOUS, Kind
from mts_dialler.protocols.iec62056_21.data_sets import Code
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock

LONDON = ZoneInfo("Europe/London")
UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SERIAL = 251308613
CREDENTIALS = "READER,S3cret"
IMPORT, REACTIVE, VOLTAGE, UNUSED = 0x2413, 0x0027, 0x8083, 0x00FF
SURVEY_START = datetime(2026, 11, 1)
OLDEST, NEXT = 100, 937  # records kept; the one before NEXT ended at 12:00 on the 20th


def wall(moment: datetime) -> bytes:
    return bytes((moment.day, moment.month, moment.year - 2000, moment.hour, moment.minute, moment.second))


def record(raw: int, status: int = 1) -> bytes:
    """kWh import, kvarh export and the voltage."""
    return (
        raw.to_bytes(2, "little") + (raw // 2).to_bytes(2, "little") + (2300).to_bytes(2, "little") + bytes((status,))
    )


def event(code: int, moment: datetime) -> bytes:
    seconds = int((moment - datetime(1996, 1, 1)).total_seconds())
    return code.to_bytes(2, "little") + seconds.to_bytes(4, "little")


LOG = [
    event(0x1010, datetime(2026, 11, 2, 8, 0)),
    event(0x2005, datetime(2026, 11, 3, 8, 0)),
    event(0x308A, datetime(2026, 11, 4, 8, 0)),
]


def registers() -> dict[int, bytes | int]:
    return {
        0xF000: text("MK10A"),
        0xF002: text("251308613"),
        0xF003: text("1.47"),
        0xF016: text("----------------"),
        0xF032: long(7),
        0xF03D: wall(datetime(2026, 11, 20, 11, 59, 50)),
        0x6200: wall(datetime(2026, 11, 1)),
        0x6400: bytes((1, 1, 96, 0, 0, 0)),
        0xF700: long(600),
        0xF701: long(1),
        0xF702: long(5),
        0xF703: long(1),
        0xD880: word(0x0113),  # two rates
        0xD881: word(0x0027),
        **{0xD882 + channel: word(UNUSED) for channel in range(30)},
        0x1E00: single(20330000.0),
        0x1E01: single(12000000.5),
        0x1E02: single(8330000.0),
        0x1E10: single(1500.0),
        0x2000: single(45678.5),
        0x4000: wall(datetime(2026, 11, 9, 17, 30)),
        0x2010: single(0.0),
        0x4010: bytes(6),
        0xE000: single(230.1),
        0xE010: single(5.25),
        0xE026: single(0.987),
        0xE033: single(-1990000.0),
        0xE060: single(49.98),
        0xD806: word(30 << 6 | 3),
        0xD802: long(OLDEST),
        0xD804: long(NEXT),
        0xD8B0: wall(SURVEY_START),
        0xD840: word(IMPORT),
        0xD841: word(REACTIVE),
        0xD842: word(VOLTAGE),
        0xD808: single(0.1),
        0xD815: long(10),
        0xD81A: long(13),
    }


INFOS: dict[int, bytes | int] = {
    0xF700: b"LNCT multiplier\x00",
    0x1E00: b"FXImport total\x00",
    0x2000: b"FWMaximum demand\x00",
}


def meter(**changes: object) -> ScriptedMeter:
    files = {0: (OLDEST, [record(number) for number in range(OLDEST, NEXT)]), 2: (10, LOG)}
    scripted = ScriptedMeter(SERIAL, CREDENTIALS, registers(), dict(INFOS), files)
    for name, value in changes.items():
        setattr(scripted, name, value)
    return scripted


DAY = SurveyRange(datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC))


class Test:
    """One test of a scripted meter."""

    __test__ = False

    def __init__(
        self,
        scripted: ScriptedMeter,
        *,
        survey: SurveyRange | None = None,
        password: str = CREDENTIALS,
        zone: ZoneInfo = UTC_ZONE,
        outstation: str = str(SERIAL),
        driver: EdmiDriver | None = None,
    ) -> None:
        self.meter = scripted
        self.clock = ManualClock(NOW)
        self.channel = AnsweringChannel(self.clock, scripted.receive, CharacterFormat.EIGHT_NONE)
        self.line = Line(self.channel, LineLimits(), self.clock)
        self.report = ReportBuilder()
        self.driver = driver or EdmiDriver(ATLAS)
        self.terms = Terms(1, "EDMIATLAS", outstation, password=password, zone=zone, survey=survey)

    async def run(self) -> ReportBuilder:
        await self.driver.read(self.line, self.terms, self.report)
        return self.report

    async def fail(self, error: type[DiallerError]) -> str:
        with pytest.raises(error) as raised:
            await self.run()
        return str(raised.value)

    def states(self) -> dict[Section, SectionState]:
        verdicts = self.report.sections(self.driver.sections(self.terms), "not said")
        return {section: verdict.state for section, verdict in verdicts.items()}

    def trace(self) -> str:
        return gzip.decompress(self.line.trace.render()).decode()

    @property
    def commands(self) -> list[bytes]:
        return self.meter.asked


def named(report: ReportBuilder) -> dict[str, RegisterReading]:
    return {reading.name: reading for reading in report.registers}


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


async def test_the_answer_s_own_start_and_count_are_obeyed() -> None:
    scripted = meter(most_records=10)
    _, records = scripted.files[0]
    scripted.files[0] = (830, records[830 - OLDEST :])  # the oldest have gone since the question
    test = Test(scripted, survey=DAY)
    readings = (await test.run()).data().survey[0].readings
    assert (str(readings[0].value), str(readings[-1].value), len(readings)) == ("8.30", "8.64", 35)
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


def packets(data: bytes) -> list[Packet]:
    reader = FrameReader()
    reader.feed(data)
    found: list[Packet] = []
    while (frame := reader.next()) is not None:
        assert isinstance(frame, Packet)
        found.append(frame)
    return found


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


# --- the session


async def test_credentials_are_sent_as_they_are_and_never_seen() -> None:
    test = Test(meter())
    await test.run()
    assert test.commands[0] == b"L" + CREDENTIALS.encode() + b"\x00"
    assert CREDENTIALS.encode().hex() not in test.trace()
    assert "S3cret" not in test.trace()
    assert '**"' in test.trace()


async def test_refused_credentials_are_never_repeated_and_the_meter_is_logged_out() -> None:
    test = Test(meter(), password="READER,wrong")
    assert await test.fail(BadCredentials) == "the meter refused the user or the password"
    assert [payload[:1] for payload in test.commands] == [b"L", b"X"]


def damaged(number: int, reply: Reply) -> list[Reply]:
    """The answer to the login cannot be read."""
    assert isinstance(reply, bytes)
    return [reply[:-2] + b"\x00\x03"] if number == 1 else [reply]


async def test_a_login_whose_answer_is_damaged_is_not_repeated_but_tried_out() -> None:
    test = Test(meter(trouble=damaged))
    await test.run()
    assert [payload for payload in test.commands if payload.startswith(b"L")] == [b"L" + CREDENTIALS.encode() + b"\x00"]
    assert set(test.states().values()) == {SectionState.READ}


async def test_a_login_whose_answer_is_damaged_may_have_been_refused() -> None:
    test = Test(meter(trouble=damaged), password="READER,wrong")
    assert "could not be read, and then: not logged in" in await test.fail(FrameGarbled)
    assert [payload[:1] for payload in test.commands] == [b"L", b"R", b"X"]


async def test_a_login_that_is_lost_is_repeated() -> None:
    test = Test(meter(trouble=lambda number, reply: [] if number < 3 else [reply]))
    await test.run()
    assert [payload[:1] for payload in test.commands[:4]] == [b"L", b"L", b"L", b"R"]


async def test_every_test_ends_with_a_logout() -> None:
    test = Test(meter())
    await test.run()
    assert test.commands[-1] == b"X"
    assert not test.meter.logged_in


async def test_attention_is_tried_with_and_without_escape_and_may_stay_without_answer() -> None:
    test = Test(meter(answers_attention=False))
    await test.run()
    assert test.channel.sent[:3] == [b"\x02\x03", b"\x1b\x02\x03", b"/?!\r\n"]
    assert set(test.states().values()) == {SectionState.READ}


async def test_a_silent_meter_is_given_up_after_three_tries() -> None:
    test = Test(meter(trouble=lambda _number, _reply: []))
    assert "did not answer: login" in await test.fail(MeterSilent)
    assert [payload[:1] for payload in test.commands] == [b"L"] * 3 + [b"X"]
    assert test.clock.monotonic() < 60


def spoiled(number: int, reply: Reply) -> list[Reply]:
    """Each first answer after the login is damaged in another way."""
    assert isinstance(reply, bytes)
    damaged = reply[:9] + b"\x55" + reply[10:]
    forms: list[list[Reply]] = [[reply], [], [reply[:-4]], [b"\xffnoise" + reply], [damaged], [damaged, reply]]
    return forms[number % len(forms)]


async def test_lost_and_damaged_answers_are_asked_for_again_with_the_same_number() -> None:
    test = Test(meter(trouble=lambda number, reply: [reply] if number == 1 else spoiled(number, reply)), survey=DAY)
    report = await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert len(report.data().survey[0].readings) == 48
    sent = [packet for data in test.channel.sent if len(data) > 10 for packet in packets(data)]
    repeated = [later for earlier, later in pairwise(sent) if earlier.payload == later.payload]
    assert repeated
    assert all(packet in sent[: sent.index(packet) + 2] for packet in repeated)
    assert len({packet.sequence for packet in sent}) == len(sent) - len(repeated)


async def test_answers_that_come_twice_or_from_others_change_nothing() -> None:
    stranger = Packet(1, SERIAL + 1, 5, b"R\xf0\x02junk\x00").encode()
    test = Test(meter(trouble=lambda _number, reply: [stranger, reply, reply]), survey=DAY)
    report = await test.run()
    assert report.serial_number == "251308613"
    assert set(test.states().values()) == {SectionState.READ}


async def test_answers_may_come_byte_by_byte() -> None:
    def dripping(_: int, reply: Reply) -> list[Reply]:
        assert isinstance(reply, bytes)
        return [bytes((octet,)) for octet in reply]

    test = Test(meter(trouble=dripping), survey=DAY)
    await test.run()
    assert set(test.states().values()) == {SectionState.READ}


async def test_data_that_are_not_ready_are_waited_for() -> None:
    scripted = meter()
    tries: list[int] = []

    def busy(number: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1] == b"R\xf0\x02" and len(tries) < 4:
            tries.append(number)
            return [answered(scripted, reply, refusal(NOT_READY))]
        return [reply]

    scripted.trouble = busy
    test = Test(scripted)
    assert (await test.run()).serial_number == "251308613"
    assert len(tries) == 4


def answered(scripted: ScriptedMeter, reply: Reply, payload: bytes) -> bytes:
    assert isinstance(reply, bytes)
    [packet] = packets(reply)
    return Packet(packet.destination, packet.source, packet.sequence, payload).encode()


async def test_data_that_never_become_ready_fail_their_section_alone() -> None:
    scripted = meter()
    scripted.registers[0xF03D] = NOT_READY
    test = Test(scripted)
    await test.run()
    assert test.states()[Section.CLOCK] is SectionState.FAILED
    assert test.states()[Section.REGISTERS] is SectionState.READ


async def test_a_session_that_ended_is_begun_again_with_the_accepted_credentials() -> None:
    scripted = meter()

    def forgetful(number: int, reply: Reply) -> list[Reply]:
        if number == 4:
            scripted.logged_in = False
        return [reply]

    scripted.trouble = forgetful
    test = Test(scripted)
    await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert len([payload for payload in test.commands if payload.startswith(b"L")]) == 2


async def test_a_session_that_ends_each_time_is_given_up() -> None:
    scripted = meter()
    scripted.registers[0xF002] = NOT_LOGGED_IN
    test = Test(scripted)
    await test.run()
    assert test.states()[Section.SERIAL_NUMBER] is SectionState.FAILED
    assert len([payload for payload in test.commands if payload.startswith(b"L")]) == 3


async def test_a_line_that_drops_keeps_what_was_read() -> None:
    scripted = meter(most_records=10)

    def dropping(_: int, reply: Reply) -> list[Reply]:
        return [LineDropped("gone")] if scripted.asked[-1].startswith(b"F0\x00" + long(847)) else [reply]

    scripted.trouble = dropping
    test = Test(scripted, survey=DAY)
    await test.fail(LineDropped)
    readings = test.report.data().survey[0].readings
    assert len(readings) == 30
    verdict = test.report.sections(frozenset({Section.SURVEY}), "")[Section.SURVEY]
    assert verdict.state is SectionState.PARTIAL
    assert verdict.error is not None
    assert "2026-11-18T15:00:00Z to 2026-11-19T00:00:00Z" in verdict.error
    assert test.states()[Section.REGISTERS] is SectionState.READ


async def test_a_line_that_drops_keeps_the_registers_read_before() -> None:
    scripted = meter(reads_many=False)

    def dropping(_: int, reply: Reply) -> list[Reply]:
        return [LineDropped("gone")] if scripted.asked[-1] == b"R\x1e\x02" else [reply]

    scripted.trouble = dropping
    test = Test(scripted)
    await test.fail(LineDropped)
    assert list(named(test.report)) == ["Active Energy Import", "Active Energy Import T1", "Reactive Energy Export"]
    assert test.states()[Section.REGISTERS] is SectionState.PARTIAL


@pytest.mark.parametrize("outstation", ["", "METER", "4294967296", "-5"])
async def test_an_outstation_that_is_no_serial_number_is_a_matter_of_configuration(outstation: str) -> None:
    test = Test(meter(), outstation=outstation)
    await test.fail(NotConfigured)
    assert test.channel.sent == []


@pytest.mark.parametrize(
    "trouble",
    [
        lambda _number, reply: [b"\x00" * 5000],
        lambda _number, reply: [b"\x02" * 5000],
        lambda _number, reply: [b"\x02" + b"A" * 60000],
        lambda _number, reply: [reply[:-1]],
    ],
)
async def test_a_meter_that_babbles_ends_as_an_error_in_bounded_time(
    trouble: Callable[[int, bytes], list[Reply]],
) -> None:
    test = Test(meter(trouble=trouble))
    with pytest.raises((MeterSilent, FrameGarbled)):
        await test.run()
    assert test.clock.monotonic() < 120


async def test_a_survey_whose_answers_make_no_sense_is_failed_alone() -> None:
    scripted = meter()

    def broken(_: int, reply: Reply) -> list[Reply]:
        if scripted.asked[-1].startswith(b"F0"):
            return [answered(scripted, reply, b"F0\x00" + long(817) + word(3) + bytes(20))]
        return [reply]

    scripted.trouble = broken
    test = Test(scripted, survey=DAY)
    await test.run()
    assert test.states()[Section.SURVEY] is SectionState.FAILED
    assert test.report.failure is FailureKind.METER_REFUSED
    assert test.meter.asked[-1] == b"X"


async def test_a_meter_that_refuses_everything_is_read_as_nothing() -> None:
    test = Test(meter(registers={}, infos={}, files={}), survey=DAY)
    report = await test.run()
    assert report.serial_number is None
    assert test.states()[Section.SERIAL_NUMBER] is SectionState.FAILED
    assert test.states()[Section.SURVEY] is SectionState.FAILED
    assert report.registers == []


async def test_a_refused_login_for_another_reason_is_no_wrong_password() -> None:
    scripted = meter()
    scripted.trouble = lambda _number, reply: [answered(scripted, reply, refusal(NOT_READY))]
    assert "data not ready" in await Test(scripted).fail(MeterRefused)


# --- names


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
