"""A small DLMS meter in memory, and one test of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from mts_common.messages import MeterData, Section, SectionState, SurveyReading
from mts_dialler.drivers import dlms_types
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.dlms import DlmsDriver
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.errors import DiallerError
from mts_dialler.line import Line, LineLimits
from mts_dialler.protocols.cosem import date_time
from mts_dialler.protocols.cosem.date_time import ClockStatus, DateTime
from mts_dialler.protocols.cosem.values import Reader, array, octet_string, structure
from mts_dialler.protocols.hdlc.frame import Frame, client_address, server_address
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import AnsweringChannel, Reply
from mts_dialler.testing.dlms_meter import HdlcEnd, Key, ScriptedMeter, WrapperEnd

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY, HALF_HOUR = timedelta(days=1), timedelta(minutes=30)
PASSWORD = "sesame-7"
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
GMAC = f"gmac:{EK.hex()}:{AK.hex()}"
IMPORT, EXPORT, STATUS = (3, "1.0.1.8.0"), (3, "1.0.2.8.0"), (1, "0.0.96.10.1")


def u8(number: int) -> bytes:
    return bytes((0x11, number))


def u16(number: int) -> bytes:
    return b"\x12" + number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return b"\x06" + number.to_bytes(4, "big")


def scale(scaler: int, unit: int) -> bytes:
    return bytes.fromhex("0202 0F") + scaler.to_bytes(1, "big", signed=True) + bytes((0x16, unit))


def text(characters: str) -> bytes:
    return octet_string(characters.encode())


def name(obis: str) -> bytes:
    return bytes((*map(int, obis.split(".")), 255))


def column(class_id: int, obis: str, attribute: int = 2) -> bytes:
    return structure([u16(class_id), octet_string(name(obis)), bytes((0x0F, attribute)), u16(0)])


def stamped(moment: datetime, deviation: int | None = 0, status: int = 0) -> bytes:
    """On a meter's clock whose wall time is UTC less `deviation`."""
    wall = moment.replace(tzinfo=None) - timedelta(minutes=deviation or 0)
    return octet_string(DateTime(wall, deviation, ClockStatus(status)).encode())


def register(obis: str, raw: bytes, scaler: int, unit: int, class_id: int = 3) -> dict[Key, bytes]:
    return {(class_id, obis, 2): raw, (class_id, obis, 3): scale(scaler, unit)}


def value_at(end: datetime) -> int:
    """Of the import register at the end of a period."""
    return 1_000_000 + (end - MIDNIGHT) // HALF_HOUR * 250


Rows = list[tuple[datetime, bytes]]


def half_hours(start: datetime = MIDNIGHT - 3 * DAY, end: datetime = NOW) -> Rows:
    """Rows of [clock, status, import], stamped with the ends of periods in UTC."""
    rows: Rows = []
    stamp = start
    while stamp <= end:
        rows.append((stamp, structure([stamped(stamp), u8(0), u32(value_at(stamp))])))
        stamp += HALF_HOUR
    return rows


def by_range(rows: Rows, to_utc: Callable[[DateTime], datetime] | None = None) -> Callable[[Key, bytes], bytes | int]:
    """A meter that compares a range's ends with its stamps."""

    def utc(octets: object) -> datetime:
        assert isinstance(octets, bytes)
        stamp = date_time.decode(octets)
        assert stamp is not None
        return to_utc(stamp) if to_utc else stamp.utc() or stamp.wall.replace(tzinfo=UTC)

    def select(key: Key, selector: bytes) -> bytes | int:
        if selector[0] != 1:
            return 12
        wanted = Reader(selector, 1).value()
        assert isinstance(wanted, tuple)
        first, last = utc(wanted[1]), utc(wanted[2])
        return array([row for stamp, row in rows if first <= stamp <= last])

    return select


def by_entry(rows: Rows) -> Callable[[Key, bytes], bytes | int]:
    def select(key: Key, selector: bytes) -> bytes | int:
        if selector[0] != 2:
            return 12
        wanted = Reader(selector, 1).value()
        assert isinstance(wanted, tuple)
        first, last = wanted[:2]
        assert isinstance(first, int)
        assert isinstance(last, int)
        return array([row for _, row in rows[first - 1 : last]])

    return select


def attributes() -> dict[Key, bytes]:
    """A small meter."""
    return {
        (1, "0.0.42.0.0", 2): text("MTR0000000012345"),
        (1, "0.0.96.1.0", 2): text("12345678  "),
        (1, "1.0.0.2.0", 2): text("V1.7"),
        (1, "1.0.0.4.2", 2): u16(600),
        (1, "1.0.0.4.5", 2): u16(5),
        (1, "0.0.97.97.0", 2): u32(0x2002),
        (1, "0.0.96.7.21", 2): u16(3),
        (8, "0.0.1.0.0", 2): stamped(NOW - timedelta(seconds=203)),
        **register("1.0.1.8.0", u32(10049926), 0, 30),
        **register("1.0.1.8.1", u32(7000000), 0, 30),
        **register("1.0.2.8.0", bytes.fromhex("15 0000000000000008"), 1, 30),
        **register("1.0.32.7.0", u16(2307), -1, 35),
        **register("1.0.52.7.0", u16(2311), -1, 35),
        **register("1.0.1.6.0", u32(5321), 0, 27, class_id=4),
        (4, "1.0.1.6.0", 5): stamped(datetime(2026, 2, 10, 17, 30, tzinfo=UTC)),
        (7, "1.0.99.1.0", 3): array([column(8, "0.0.1.0.0"), column(*STATUS), column(*IMPORT)]),
        (7, "1.0.99.1.0", 4): u32(1800),
        (7, "1.0.99.1.0", 5): bytes.fromhex("1601"),
        (7, "1.0.99.1.0", 7): u32(len(half_hours())),
    }


def small_meter(**habits: object) -> ScriptedMeter:
    return ScriptedMeter(attributes(), **{"select": by_range(half_hours()), **habits})  # type: ignore[arg-type]


Spoil = Callable[[bytes, int], Iterable[Reply]]


class Bench:
    """One meter at one line. `spoil` may change each of its answers, given with its number."""

    def __init__(
        self,
        meter: ScriptedMeter,
        profile: MeterProfile = dlms_types.GENERAL,
        *,
        client: int = 1,
        server: bytes = server_address(1),
        spoil: Spoil | None = None,
        limits: LineLimits | None = None,
        **hdlc: object,
    ) -> None:
        self.meter = meter
        self.clock = ManualClock(NOW)
        self.driver = DlmsDriver(profile)
        self.end: HdlcEnd | WrapperEnd = (
            WrapperEnd(meter)
            if profile.carrier is dlms_types.Carrier.WRAPPER
            else HdlcEnd(meter, client_address(client), server, **hdlc)  # type: ignore[arg-type]
        )
        self._spoil = spoil or (lambda answer, _: [answer])
        self._turn = 0
        self.channel = AnsweringChannel(self.clock, self._answer, CharacterFormat.EIGHT_NONE)
        self.line = Line(self.channel, limits, self.clock)
        self.report = ReportBuilder()

    def _answer(self, data: bytes) -> Iterator[Reply]:
        for answer in self.end.answer(data):
            self._turn += 1
            yield from self._spoil(answer, self._turn - 1)

    async def read(self, **terms: object) -> MeterData:
        given: dict[str, object] = {"test_id": 1, "meter_type": "DLMS", "password": PASSWORD, **terms}
        wanted = Terms(**given)  # type: ignore[arg-type]
        await self.driver.read(self.line, wanted, self.report)
        return self.report.data()

    def states(self) -> dict[Section, SectionState]:
        return {section: result.state for section, result in self.report.sections(set(), "").items()}

    def error(self, section: Section) -> str:
        return self.report.sections(set(), "")[section].error or ""

    def requests(self, tag: int) -> list[bytes]:
        return [apdu for apdu in self.meter.conversation if apdu[0] == tag]

    def frames(self) -> list[Frame]:
        assert isinstance(self.end, HdlcEnd)
        return self.end.frames


def survey(days: int = 1, start: datetime = MIDNIGHT) -> SurveyRange:
    return SurveyRange(start, min(start + days * DAY, NOW))


def surveyed(data: MeterData) -> dict[str, list[SurveyReading]]:
    return {channel.name: list(channel.readings) for channel in data.survey}


def whole(days: int = 1) -> list[SurveyReading]:
    starts = [MIDNIGHT + periods * HALF_HOUR for periods in range(48 * days)]
    return [
        SurveyReading(start, Decimal(value_at(start + HALF_HOUR)) / 1000)
        for start in starts
        if start + HALF_HOUR <= NOW
    ]


ALL_READ = dict.fromkeys(Section, SectionState.READ)


async def refused(bench: Bench, error: type[DiallerError], **terms: object) -> str:
    with pytest.raises(error) as caught:
        await bench.read(**terms)
    return str(caught.value)
