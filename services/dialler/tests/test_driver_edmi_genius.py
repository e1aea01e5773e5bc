"""The EDMI Genius driver against a meter in memory."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import Section, SectionState, SurveyReading
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.edmi import GENIUS, EdmiDriver
from mts_dialler.errors import LineDropped
from mts_dialler.line import Line, LineLimits
from mts_dialler.protocols.edmi.frame import FrameReader, Packet
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import AnsweringChannel, Reply
from mts_dialler.testing.edmi_meter import DENIED, NOT_FOUND, ScriptedMeter, long, single, text, word

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SERIAL = 217072470
CREDENTIALS = "READER,S3cret"
START = datetime(2026, 11, 1)
OLDEST, NEXT = 100, 937
LS01, LS02, EVENT_LOG = 0x0305, 0x0325, 0x0375
DAY = SurveyRange(datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC))


def wall(moment: datetime) -> bytes:
    return bytes((moment.day, moment.month, moment.year - 2000, moment.hour, moment.minute, moment.second))


def channel(
    survey: int, number: int, register: int, offset: int, width: int, letter: str, unit: str, name: str, factor: float
) -> dict[int, bytes | int]:
    base = (survey << 16) + number
    return {
        base | 0xE000: long(register),
        base | 0xE100: word(width),
        base | 0xE200: letter.encode(),
        base | 0xE300: unit.encode(),
        base | 0xE400: text(name),
        base | 0xE500: word(offset),
        base | 0xE800: single(factor),
    }


def survey(number: int, channels: int, seconds: int, size: int) -> dict[int, bytes | int]:
    base = number << 16
    return {
        base | 0xF012: bytes((channels,)),
        base | 0xF014: long(seconds),
        base | 0xF018: word(size),
        base | 0xF020: wall(START),
    }


def record(number: int, status: int = 0) -> bytes:
    """Import in micropulses, a doubtful reactive channel, the status word."""
    return (number * 10).to_bytes(4, "big") + number.to_bytes(8, "big") + word(status)


def event(moment: datetime, words: str) -> bytes:
    seconds = int((moment - datetime(1996, 1, 1)).total_seconds())
    return word(0) + seconds.to_bytes(4, "big") + words.encode().ljust(20, b"\x00")


LOG = [
    event(datetime(2026, 11, 2, 8, 0), "Power up"),
    event(datetime(2026, 11, 3, 8, 0), "User EDMI logged on"),
    event(datetime(2026, 11, 4, 8, 0), "Cover opened"),
]


def registers() -> dict[int, bytes | int]:
    return (
        {
            0xF000: text("MK6E"),
            0xF002: text("217072470"),
            0xF003: text("2.10"),
            0xF016: text(" "),
            0xF032: long(3),
            0xF03D: wall(datetime(2026, 11, 20, 12, 0, 30)),
            0xFC00: wall(datetime(2026, 11, 1)),
            0xFC01: wall(datetime(2026, 10, 1)),
            0xF700: single(100.0),
            0xF701: single(1.0),
            0xF702: single(5.0),
            0xF703: single(1.0),
            0xF780: long(0xE397),
            0xF781: long(0xE59B),
            0xF782: long(0),
            0x0069: single(5000000.0),
            0x0060: single(3000000.0),
            0x0061: single(2000000.0),
            **{0x0060 + rate: single(0.0) for rate in range(2, 8)},
            0x0169: single(7000.0),
            **{0x0160 + rate: single(0.0) for rate in range(8)},
            0x1009: single(12345.0),
            0x8009: wall(datetime(2026, 11, 9, 17, 30)),
            0xE000: single(230.1),
            0xE033: single(1500.0),
            0x0002F001: word(3),
            0x00020000: text("LS01"),
            0x00020001: text("LS02"),
            0x00020002: text("Event Log"),
            0x00021000: word(0x0300),
            0x00021001: word(0x0320),
            0x00021002: word(0x0370),
        }
        | survey(LS01, 1, 600, 6)
        | channel(LS01, 1, 0xE397, 0, 4, "O", "X", "Import", 1.0)
        | survey(LS02, 2, 1800, 14)
        | channel(LS02, 1, 0xE397, 0, 4, "O", "X", "Import", 0.1)
        | channel(LS02, 2, 0xE59B, 4, 8, "U", "Y", "VARh Q3", 1.0)
        | survey(EVENT_LOG, 2, 0, 26)
        | channel(EVENT_LOG, 1, 0, 2, 4, "T", "N", "Time", 1.0)
        | channel(EVENT_LOG, 2, 0, 6, 20, "A", "N", "Event", 1.0)
    )


INFOS: dict[int, bytes | int] = {
    0xF700: b"FNCT ratio\x00",
    0x0069: b"FXTotal Wh import\x00",
    0x0169: b"FYTotal VARh Q3\x00",
    0x1009: b"FWMaximum\x00",
}


def meter() -> ScriptedMeter:
    files = {
        LS02 << 16 | 0xF008: (OLDEST, [record(number) for number in range(OLDEST, NEXT)]),
        EVENT_LOG << 16 | 0xF008: (1, LOG),
    }
    return ScriptedMeter(SERIAL, CREDENTIALS, registers(), dict(INFOS), files, wide=True)


class Test:
    """One test of a scripted meter."""

    __test__ = False

    def __init__(self, scripted: ScriptedMeter, wanted: SurveyRange | None = None) -> None:
        self.meter = scripted
        clock = ManualClock(NOW)
        self.channel = AnsweringChannel(clock, scripted.receive, CharacterFormat.EIGHT_NONE)
        self.line = Line(self.channel, LineLimits(), clock)
        self.report = ReportBuilder()
        self.driver = EdmiDriver(GENIUS)
        self.terms = Terms(
            1, "EDMIGENIUS", str(SERIAL), password=CREDENTIALS, zone=ZoneInfo("Europe/London"), survey=wanted
        )

    async def run(self) -> ReportBuilder:
        await self.driver.read(self.line, self.terms, self.report)
        return self.report

    def states(self) -> dict[Section, SectionState]:
        verdicts = self.report.sections(self.driver.sections(self.terms), "not said")
        return {section: verdict.state for section, verdict in verdicts.items()}

    def readings(self) -> tuple[SurveyReading, ...]:
        return self.report.data().survey[0].readings


async def test_a_meter_is_read_whole() -> None:
    test = Test(meter(), DAY)
    report = await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert report.serial_number == "217072470"
    assert report.clock is not None
    assert report.clock.offset_seconds == 30
    assert {each.name: each.value for each in report.properties} == {
        "Model": "MK6E",
        "Firmware": "2.10",
        "CT\\VT ratios": "CT: 100:5 VT: 1:1",
        "Billing resets": "3",
        "Last billing reset": "2026-11-01T00:00:00Z",
        "Billing reset before the last": "2026-10-01T00:00:00Z",
        "Integration period": "30 min",
    }
    assert report.profile_configuration == ["kWh Import", "VARh Q3"]
    assert report.status_events == ["Power up at 2026-11-02T08:00:00Z", "Cover opened at 2026-11-04T08:00:00Z"]


async def test_registers_are_named_by_what_their_channel_follows() -> None:
    report = await Test(meter()).run()
    found = [(each.category.value, each.name, str(each.number), each.units) for each in report.registers]
    assert found == [
        ("Energy", "Active Energy Import", "5000.000", "kWh"),
        ("Time of Use", "Active Energy Import T1", "3000.000", "kWh"),
        ("Time of Use", "Active Energy Import T2", "2000.000", "kWh"),
        ("Miscellaneous", "Total VARh Q3", "7.000", "kvarh"),
        ("Time of Use", "Total VARh Q3 T1", "0.000", "kvarh"),
        ("Time of Use", "Total VARh Q3 T2", "0.000", "kvarh"),
        ("Miscellaneous", "Active Maximum Demand Import", "12.345", "kW"),
        ("Miscellaneous", "Active Maximum Demand Import Time", "None", ""),
        ("Instantaneous", "Voltage L1", "230.1", "V"),
        ("Instantaneous", "Total Active Power", "1.500", "kW"),
    ]


async def test_the_survey_s_internal_values_are_scaled_exactly() -> None:
    test = Test(meter(), DAY)
    report = await test.run()
    imported, other = report.data().survey
    assert (imported.name, imported.units, len(imported.readings)) == ("kWh Import", "kWh", 48)
    # Record 817 ends half an hour after the day's start.
    assert imported.readings[0] == (DAY.start, Decimal("0.8170"), ())
    assert (other.name, other.units, other.readings[0].value) == ("VARh Q3", "kvarh", Decimal("0.817"))


async def test_missing_records_are_left_out_and_suspect_ones_are_marked() -> None:
    scripted = meter()
    records = scripted.files[LS02 << 16 | 0xF008][1]
    records[818 - OLDEST] = record(818, 0x0002)
    records[819 - OLDEST] = record(819, 0x000C)
    test = Test(scripted, DAY)
    await test.run()
    assert [each.start for each in test.readings()[:2]] == [DAY.start, DAY.start + timedelta(hours=1)]
    assert test.readings()[1].status == ("power failure", "period cut short")


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, ()), (1800, ("time stamp in doubt",)), (7, ("time stamp in doubt",))]
)
async def test_a_time_that_the_meter_finds_elsewhere_puts_the_stamps_in_doubt(
    seconds: int, status: tuple[str, ...]
) -> None:
    scripted = meter()

    def searching(_: int, reply: Reply) -> list[Reply]:
        assert isinstance(reply, bytes)
        asked = scripted.asked[-1]
        if not asked.startswith(b"FS"):
            return [reply]
        at = START + 817 * timedelta(minutes=30) + timedelta(seconds=seconds)
        return [answered(reply, asked[:6] + long(817) + wall(at) + b"\x00")]

    scripted.trouble = searching
    test = Test(scripted, DAY)
    await test.run()
    assert {each.status for each in test.readings()} == {status}


def answered(reply: bytes, payload: bytes) -> bytes:
    reader = FrameReader()
    reader.feed(reply)
    packet = reader.next()
    assert isinstance(packet, Packet)
    return Packet(packet.destination, packet.source, packet.sequence, payload).encode()


async def test_a_meter_without_a_table_of_extensions_has_the_usual_surveys() -> None:
    scripted = meter()
    scripted.registers[0x0002F001] = NOT_FOUND
    test = Test(scripted, DAY)
    await test.run()
    assert len(test.readings()) == 48
    assert test.states()[Section.STATUS_EVENTS] is SectionState.READ


async def test_a_meter_without_block_reading_is_read_one_by_one() -> None:
    scripted = meter()
    scripted.reads_many = False
    test = Test(scripted, DAY)
    await test.run()
    assert set(test.states().values()) == {SectionState.READ}
    assert len(test.readings()) == 48


async def test_the_answer_s_own_start_and_count_are_obeyed() -> None:
    scripted = meter()
    scripted.most_records = 7
    test = Test(scripted, DAY)
    await test.run()
    assert len(test.readings()) == 48
    assert [each.value for each in test.readings()] == [Decimal(number * 10) / 10000 for number in range(817, 865)]


async def test_a_line_that_drops_keeps_what_was_read() -> None:
    scripted = meter()
    scripted.most_records = 10

    def dropping(_: int, reply: Reply) -> list[Reply]:
        last = scripted.asked[-1]
        return [LineDropped("gone")] if last.startswith(b"FR") and long(847) in last else [reply]

    scripted.trouble = dropping
    test = Test(scripted, DAY)
    with pytest.raises(LineDropped):
        await test.run()
    assert len(test.readings()) == 30
    verdict = test.report.sections(frozenset({Section.SURVEY}), "")[Section.SURVEY]
    assert verdict.state is SectionState.PARTIAL
    assert "2026-11-18T15:00:00Z to 2026-11-19T00:00:00Z" in (verdict.error or "")


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (LS02 << 16 | 0xE501, word(2)),
        (LS02 << 16 | 0xE101, word(0xFFFF)),
        (LS02 << 16 | 0xF018, word(12)),
        (LS02 << 16 | 0xE201, b"D"),
        (LS02 << 16 | 0xE202, DENIED),
        (LS02 << 16 | 0xF020, bytes(6)),
    ],
)
async def test_a_layout_that_makes_no_sense_fails_the_survey_alone(register: int, value: bytes | int) -> None:
    scripted = meter()
    scripted.registers[register] = value
    test = Test(scripted, DAY)
    await test.run()
    assert test.states()[Section.SURVEY] is SectionState.FAILED
    assert test.states()[Section.REGISTERS] is SectionState.READ
    assert scripted.asked[-1] == b"X"


async def test_an_event_log_that_makes_no_sense_is_partial() -> None:
    scripted = meter()
    scripted.registers[EVENT_LOG << 16 | 0xE501] = word(7)
    test = Test(scripted)
    await test.run()
    assert test.states()[Section.STATUS_EVENTS] is SectionState.PARTIAL


@pytest.mark.parametrize("seconds", [-1800, 2**31 - 1])
async def test_periods_of_an_impossible_length_do_no_harm(seconds: int) -> None:
    scripted = meter()
    scripted.registers[LS02 << 16 | 0xF014] = long(seconds)
    scripted.registers[LS01 << 16 | 0xF014] = long(0)
    test = Test(scripted, DAY)
    await test.run()
    assert test.states()[Section.REGISTERS] is SectionState.READ
