"""An EDMI Atlas in memory, and one test of it."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import gzip
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import RegisterReading, Section, SectionState
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.edmi import ATLAS, EdmiDriver
from mts_dialler.errors import DiallerError
from mts_dialler.line import Line, LineLimits
from mts_dialler.protocols.edmi.frame import FrameReader, Packet
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import AnsweringChannel, Reply
from mts_dialler.testing.edmi_meter import ScriptedMeter, long, single, text, word

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


def packets(data: bytes) -> list[Packet]:
    reader = FrameReader()
    reader.feed(data)
    found: list[Packet] = []
    while (frame := reader.next()) is not None:
        assert isinstance(frame, Packet)
        found.append(frame)
    return found


def answered(scripted: ScriptedMeter, reply: Reply, payload: bytes) -> bytes:
    assert isinstance(reply, bytes)
    [packet] = packets(reply)
    return Packet(packet.destination, packet.source, packet.sequence, payload).encode()
