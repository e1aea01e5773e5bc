"""The DLMS driver against a meter in memory: what it reads, and how it takes every fault of line and meter."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_common.messages import FailureKind, MeterData, RegisterCategory, Section, SectionState, SurveyReading
from mts_dialler.drivers import dlms_types
from mts_dialler.drivers.base import ReportBuilder, SurveyRange, Terms
from mts_dialler.drivers.dlms import DlmsDriver
from mts_dialler.drivers.dlms_testing import HdlcEnd, Key, Keys, ScriptedMeter, WrapperEnd
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.drivers.testing import AnsweringChannel, Reply
from mts_dialler.errors import (
    BadCredentials,
    CallTooLong,
    DiallerError,
    FrameGarbled,
    LineDropped,
    MeterRefused,
    MeterSilent,
    NotConfigured,
)
from mts_dialler.line import Line, LineLimits
from mts_dialler.protocols.cosem import date_time
from mts_dialler.protocols.cosem.date_time import ClockStatus, DateTime
from mts_dialler.protocols.cosem.values import Reader, array, octet_string, structure
from mts_dialler.protocols.hdlc.frame import Frame, Kind, client_address, server_address
from mts_dialler.protocols.hdlc.reader import FrameReader
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock

CAPTURES = Path(__file__).parent / "captures"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
DAY, HALF_HOUR = timedelta(days=1), timedelta(minutes=30)
BERLIN = ZoneInfo("Europe/Berlin")
PASSWORD = "sesame-7"
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
GMAC = f"gmac:{EK.hex()}:{AK.hex()}"
PROFILE = (7, "1.0.99.1.0", 2)
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


def register_values(data: MeterData) -> dict[str, str]:
    return {each.name: each.text or f"{each.number} {each.units}".strip() for each in data.registers}


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


# --- what is read


async def test_a_meter_is_read_over_hdlc_with_a_password() -> None:
    bench = Bench(small_meter(password=PASSWORD.encode()), size=200, window=3)
    data = await bench.read(survey=survey())
    assert bench.states() == ALL_READ
    assert data.serial_number == "12345678"
    assert data.clock is not None
    assert data.clock.offset_seconds == -203
    assert data.status_events == ("Error register 2002",)
    assert [(each.name, each.value) for each in data.properties] == [
        ("Logical device name", "MTR0000000012345"),
        ("Firmware", "V1.7"),
        ("CT\\VT ratios", "CT: 600:5 VT: 1:1"),
        ("Integration period", "30 min"),
    ]
    assert register_values(data) == {
        "Active Energy Import": "10049.926 kWh",
        "Active Energy Import T1": "7000.000 kWh",
        "Active Energy Export": "0.08 kWh",
        "Active Maximum Demand Import": "5.321 kW",
        "Active Maximum Demand Import Time": "2026-02-10T17:30:00Z",
        "Voltage L1": "230.7 V",
        "Voltage L2": "231.1 V",
        "Power Failures": "3",
    }
    assert {each.name: each.category for each in data.registers}["Active Energy Import T1"] is (
        RegisterCategory.TIME_OF_USE
    )
    assert data.profile_configuration == ("kWh Import (total)",)
    assert [channel.units for channel in data.survey] == ["kWh"]
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert bench.frames()[-1].kind is Kind.DISC


async def test_a_meter_is_read_over_the_tcp_wrapper_and_released() -> None:
    bench = Bench(small_meter(), dlms_types.WRAPPED)
    data = await bench.read(survey=survey(), password="")
    assert bench.states() == ALL_READ
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert bench.meter.conversation[-1] == bytes.fromhex("6203800100")


@pytest.mark.parametrize("profile", [dlms_types.GENERAL, dlms_types.WRAPPED])
async def test_a_meter_is_read_ciphered_after_both_sides_proved_their_keys(profile: MeterProfile) -> None:
    meter = small_meter(keys=Keys(EK, AK, counter=1000), block=300)
    meter.attributes[1, "0.0.43.1.0", 2] = u32(999)
    bench = Bench(meter, profile)
    data = await bench.read(survey=survey(), password=GMAC)
    assert bench.states() == ALL_READ
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert meter.keys is not None
    assert meter.keys.counter > 1001
    sent = b"".join(bench.channel.sent)
    for secret in (EK, AK, EK.hex().encode(), AK.hex().encode()):
        assert secret not in sent


@pytest.mark.parametrize("profile", [dlms_types.GENERAL, dlms_types.WRAPPED])
async def test_every_way_of_cutting_an_answer_gives_the_same(profile: MeterProfile) -> None:
    expected = await Bench(small_meter(), profile).read(survey=survey())
    for spoil in (
        lambda answer, _: [bytes((octet,)) for octet in answer],
        lambda answer, _: [answer[:7], answer[7:]],
    ):
        assert await Bench(small_meter(), profile, spoil=spoil).read(survey=survey()) == expected
    for habits in ({"block": 64}, {"block": 1000, "conformance": 0x001015}, {"conformance": 0x000014}):
        assert await Bench(small_meter(**habits), profile).read(survey=survey()) == expected


async def test_the_largest_frames_and_windows_of_both_are_used() -> None:
    bench = Bench(small_meter(), size=1500, window=7)
    await bench.read(survey=survey())
    assert bench.frames()[0].information.hex() == "8180140502 07ee 0602 07ee 0704 00000007 0804 00000007".replace(
        " ", ""
    )
    acknowledgements = [frame for frame in bench.frames() if frame.kind is Kind.RR]
    assert len(acknowledgements) == 0


async def test_a_list_is_asked_for_at_once_and_singly_where_lists_are_refused() -> None:
    listed, single = Bench(small_meter()), Bench(small_meter(conformance=0x001015))
    refused = Bench(small_meter(refuse=lambda apdu: b"\xd8\x01\x02" if apdu[:2] == b"\xc0\x03" else None))
    reports = [await bench.read() for bench in (listed, single, refused)]
    assert reports[0] == reports[1] == reports[2]
    assert len(listed.requests(0xC0)) < 20
    assert not [apdu for apdu in single.requests(0xC0) if apdu[1] == 3]
    assert len([apdu for apdu in refused.requests(0xC0) if apdu[1] == 3]) == 1


async def test_registers_that_follow_an_absent_one_are_not_asked_for() -> None:
    bench = Bench(small_meter(conformance=0x001015))
    await bench.read()
    asked = [apdu[3:12] for apdu in bench.requests(0xC0)]
    assert b"\x00\x03" + name("1.0.1.8.1") + b"\x02" in asked
    assert b"\x00\x03" + name("1.0.1.8.2") + b"\x02" in asked
    assert b"\x00\x03" + name("1.0.2.8.1") + b"\x02" in asked
    assert b"\x00\x03" + name("1.0.2.8.2") + b"\x02" not in asked
    assert b"\x00\x03" + name("1.0.3.8.1") + b"\x02" not in asked
    assert b"\x00\x03" + name("1.0.1.8.5") + b"\x02" not in asked
    assert b"\x00\x03" + name("1.0.51.7.0") + b"\x02" not in asked


async def test_a_meter_that_numbers_its_registers_from_channel_one_is_read() -> None:
    meter = small_meter()
    for class_id, obis, number in list(meter.attributes):
        if class_id in {3, 4}:
            meter.attributes[class_id, "1.1" + obis[3:], number] = meter.attributes.pop((class_id, obis, number))
    meter.attributes[7, "1.0.99.1.0", 3] = array([column(8, "0.0.1.0.0"), column(3, "1.1.1.8.0")])
    data = await Bench(meter).read()
    assert register_values(data)["Active Energy Import"] == "10049.926 kWh"
    assert data.profile_configuration == ("kWh Import (total)",)


async def test_a_value_without_scaler_is_left_out_and_told() -> None:
    meter = small_meter()
    del meter.attributes[3, "1.0.1.8.0", 3]
    bench = Bench(meter)
    data = await bench.read(survey=survey())
    assert "Active Energy Import" not in register_values(data)
    assert "Active Energy Import T1" in register_values(data)
    assert bench.states()[Section.REGISTERS] is SectionState.PARTIAL
    assert bench.error(Section.REGISTERS) == "1.0.1.8.0: no scaler and unit"
    assert bench.states()[Section.PROFILE_CONFIGURATION] is SectionState.PARTIAL
    assert bench.states()[Section.SURVEY] is SectionState.FAILED
    assert data.survey == ()


async def test_a_channel_without_scaler_leaves_the_others_of_a_survey() -> None:
    meter = small_meter()
    columns = [column(8, "0.0.1.0.0"), column(3, "1.0.9.8.0"), column(*IMPORT)]
    meter.attributes[7, "1.0.99.1.0", 3] = array(columns)
    bench = Bench(meter)
    data = await bench.read(survey=survey())
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert bench.states()[Section.SURVEY] is SectionState.PARTIAL
    assert bench.error(Section.SURVEY) == "1.0.9.8.0: no scaler and unit"


async def test_a_value_that_the_meter_cannot_give_makes_a_section_partial() -> None:
    bench = Bench(small_meter(refuse=denying("1.0.2.8.0", 2), conformance=0x001015))
    data = await bench.read()
    assert "Active Energy Export" not in register_values(data)
    assert bench.error(Section.REGISTERS) == "1.0.2.8.0: temporary failure"


def denying(obis: str, code: int) -> Callable[[bytes], bytes | None]:
    return lambda apdu: bytes((0xC4, 1, apdu[2], 1, code)) if apdu[:2] == b"\xc0\x01" and name(obis) in apdu else None


@pytest.mark.parametrize(
    ("there", "serial"),
    [
        ({(1, "1.0.0.0.0", 2): text("S-1")}, "S-1"),
        ({(1, "0.0.96.1.1", 2): bytes.fromhex("0A03533039")}, "S09"),
        ({(1, "0.0.96.1.0", 2): u32(51282380)}, "51282380"),
        ({(1, "0.0.96.1.0", 2): octet_string(b"\x01\x02\xff")}, "0102FF"),
        ({}, "MTR0000000012345"),
    ],
)
async def test_the_serial_number_is_where_the_maker_put_it(there: dict[Key, bytes], serial: str) -> None:
    meter = small_meter()
    del meter.attributes[1, "0.0.96.1.0", 2]
    meter.attributes.update(there)
    assert (await Bench(meter).read()).serial_number == serial


async def test_sections_that_a_meter_lacks_fail_alone() -> None:
    bench = Bench(ScriptedMeter({}))
    data = await bench.read(survey=survey())
    assert data == MeterData(survey=())
    assert bench.states() == {
        Section.SERIAL_NUMBER: SectionState.FAILED,
        Section.CLOCK: SectionState.FAILED,
        Section.STATUS_EVENTS: SectionState.READ,
        Section.PROPERTIES: SectionState.READ,
        Section.REGISTERS: SectionState.FAILED,
        Section.PROFILE_CONFIGURATION: SectionState.FAILED,
        Section.SURVEY: SectionState.FAILED,
    }
    assert bench.error(Section.CLOCK) == "clock: object undefined"
    assert bench.error(Section.SURVEY) == "the meter has no load profile"


async def test_ratios_kept_in_registers_are_scaled() -> None:
    meter = small_meter()
    for obis in ("1.0.0.4.2", "1.0.0.4.5"):
        del meter.attributes[1, obis, 2]
    meter.attributes |= register("1.0.0.4.2", u16(1200), -1, 255) | register("1.0.0.4.3", u16(100), 0, 255)
    data = await Bench(meter).read()
    assert "CT: 120:1 VT: 100:1" in {each.value for each in data.properties}


async def test_errors_and_status_are_told_in_words() -> None:
    meter = small_meter()
    meter.attributes[1, "0.0.96.10.1", 2] = u8(0x8A)
    meter.attributes[8, "0.0.1.0.0", 2] = stamped(NOW, status=0x03)
    data = await Bench(meter, dlms_types.ISKRA_MT880, server=server_address(1, 17)).read()
    assert data.status_events == (
        "Clock invalid",
        "Clock doubtful",
        "Error register 2002: battery to be replaced, fraud attempt",
        "Clock invalid",
        "Power down",
    )


def captured_events() -> list[bytes]:
    """Rows of the event log in the first block of a captured answer."""
    block = Reader(captured("dlms_wrapper_eventlog_block.hex")[1], 8 + 14)
    rows: list[bytes] = []
    while block.left >= 18:
        rows.append(block.take(18))
    return rows


async def test_a_captured_event_log_is_told_in_words() -> None:
    rows = captured_events()
    asked: list[bytes] = []

    def select(key: Key, selector: bytes) -> bytes | int:
        asked.append(selector)
        return array(rows[::-1])

    meter = small_meter(select=select)
    meter.attributes[7, "0.0.99.98.0", 3] = array([column(8, "0.0.1.0.0"), column(1, "0.0.96.11.0")])
    bench = Bench(meter, dlms_types.ISKRA_MT880, server=server_address(1, 17))
    data = await bench.read()
    assert len(data.status_events) == 1 + len(rows) == 11
    assert data.status_events[1:3] == ("Power up at 2025-07-25T16:55:32Z", "Power down at 2025-07-25T16:55:32Z")
    assert data.status_events[4] == "Event 88 at 2025-07-25T16:55:38Z"
    assert len(asked) == 1
    assert bench.states()[Section.STATUS_EVENTS] is SectionState.READ


async def test_a_short_event_log_of_a_meter_without_selection_is_read_whole() -> None:
    meter = small_meter()
    meter.attributes |= {
        (7, "0.0.99.98.0", 3): array([column(8, "0.0.1.0.0"), column(1, "0.0.96.11.0")]),
        (7, "0.0.99.98.0", 7): u32(10),
        (7, "0.0.99.98.0", 2): array(captured_events()),
    }
    meter.select = lambda _key, _selector: 13
    data = await Bench(meter, dlms_types.ISKRA_MT880, server=server_address(1, 17)).read()
    assert len(data.status_events) == 11


@pytest.mark.parametrize(
    ("columns", "answer", "why"),
    [
        (array([column(8, "0.0.1.0.0"), column(1, "0.0.96.11.0")]), 13, "scope of access violated"),
        (array([column(1, "0.0.96.11.0")]), 4, "an event log without a clock"),
        (array([column(8, "0.0.1.0.0")]), b"\x01\x00", "an event log without codes"),
        (u8(1), 4, "the capture objects of a profile are no array"),
    ],
)
async def test_an_event_log_that_cannot_be_read_makes_the_status_partial(
    columns: bytes, answer: bytes | int, why: str
) -> None:
    meter = small_meter(select=lambda _key, _selector: answer)
    meter.attributes[7, "0.0.99.98.0", 3] = columns
    bench = Bench(meter, dlms_types.ISKRA_MT880, server=server_address(1, 17))
    await bench.read()
    assert bench.states()[Section.STATUS_EVENTS] is SectionState.PARTIAL
    assert bench.error(Section.STATUS_EVENTS) == f"event log: {why}"


# --- the clock


@pytest.mark.parametrize(
    ("clock", "zone", "offset"),
    [
        (stamped(NOW, -60), "UTC", 0),
        (octet_string(DateTime(datetime(2026, 3, 2, 13, 0, 10), None).encode()), "Europe/Berlin", 10),
        (octet_string(DateTime(datetime(2026, 3, 2, 15, 0, 5), 180).encode()), "UTC", 5),  # inverted, as a NORAX 3
        (octet_string(DateTime(datetime(2026, 3, 2, 12, 0), -60).encode()), "UTC", -3600),
    ],
)
async def test_the_clock_s_offset_follows_from_its_deviation_or_its_zone(clock: bytes, zone: str, offset: int) -> None:
    meter = small_meter()
    meter.attributes[8, "0.0.1.0.0", 2] = clock
    data = await Bench(meter).read(zone=ZoneInfo(zone))
    assert data.clock is not None
    assert data.clock.offset_seconds == offset


async def test_a_clock_s_answer_that_was_lost_is_not_taken_for_a_slow_clock() -> None:
    meter = small_meter()
    bench = Bench(meter, lose=frozenset({2}))
    meter.refuse = lambda _: meter.attributes.update({(8, "0.0.1.0.0", 2): stamped(bench.clock.now())})
    data = await bench.read()
    assert data.clock is not None
    assert data.clock.offset_seconds == 0


@pytest.mark.parametrize(
    "clock", [b"\x00", octet_string(bytes.fromhex("FFFFFFFFFFFFFFFFFF8000FF")), octet_string(b"x")]
)
async def test_a_clock_without_a_time_fails_alone(clock: bytes) -> None:
    meter = small_meter()
    meter.attributes[8, "0.0.1.0.0", 2] = clock
    bench = Bench(meter)
    await bench.read(survey=survey())
    assert bench.states() == {**ALL_READ, Section.CLOCK: SectionState.FAILED}


# --- the survey


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


# --- who we are


async def refused(bench: Bench, error: type[DiallerError], **terms: object) -> str:
    with pytest.raises(error) as caught:
        await bench.read(**terms)
    return str(caught.value)


@pytest.mark.parametrize("profile", [dlms_types.GENERAL, dlms_types.WRAPPED])
async def test_a_wrong_password_is_never_repeated(profile: MeterProfile) -> None:
    bench = Bench(small_meter(password=b"another one"), profile)
    assert await refused(bench, BadCredentials) == "the meter refused the association: authentication failed"
    assert len(bench.requests(0x60)) == 1


@pytest.mark.parametrize(
    ("diagnostic", "error", "why"),
    [
        (1, MeterRefused, "no reason given"),
        (2, MeterRefused, "it does not support the application context"),
        (14, BadCredentials, "it wants authentication"),
        (11, BadCredentials, "it does not know the authentication mechanism"),
        (99, MeterRefused, "diagnostic 99"),
    ],
)
async def test_only_diagnostics_of_authentication_mean_bad_credentials(
    diagnostic: int, error: type[DiallerError], why: str
) -> None:
    bench = Bench(small_meter(password=b"another one", refusal=diagnostic))
    assert await refused(bench, error) == f"the meter refused the association: {why}"
    assert bench.frames()[-1].kind is Kind.DISC


async def test_a_meter_that_answers_an_association_with_an_exception_refuses() -> None:
    bench = Bench(small_meter(refuse=lambda apdu: bytes.fromhex("0E010601") if apdu[0] == 0x60 else None))
    assert "refused the association" in await refused(bench, MeterRefused)


async def test_a_meter_that_wants_more_than_a_password_is_told_apart() -> None:
    aare = bytes.fromhex("6129A109060760857405080101A203020100A305A10302010EBE10040E0800065F1F0400001E1D04C80007")
    bench = Bench(small_meter(refuse=lambda apdu: aare if apdu[0] == 0x60 else None))
    assert await refused(bench, BadCredentials) == "the meter refused the association: it wants authentication"


@pytest.mark.parametrize("wrong", [f"gmac:{bytes(16).hex()}:{AK.hex()}", f"gmac:{EK.hex()}:{bytes(16).hex()}"])
async def test_wrong_keys_are_bad_credentials(wrong: str) -> None:
    meter = small_meter(keys=Keys(EK, AK))
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)
    await refused(Bench(meter), BadCredentials, password=wrong)


async def test_a_meter_that_refuses_our_proof_is_bad_credentials() -> None:
    meter = small_meter(
        keys=Keys(EK, AK),
        refuse=lambda apdu: bytes((0xC7, 1, apdu[2], 3, 0)) if apdu[0] == 0xC3 else None,
    )
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)
    assert "refused our HLS authentication" in await refused(Bench(meter), BadCredentials, password=GMAC)


async def test_a_hidden_invocation_counter_is_told() -> None:
    bench = Bench(small_meter(keys=Keys(EK, AK)))
    assert "invocation counter" in await refused(bench, MeterRefused, password=GMAC)


async def test_a_public_client_that_is_not_let_in_is_no_wrong_key() -> None:
    refusal = bytes.fromhex("6117A109060760857405080101A203020101A305A10302010E")
    bench = Bench(small_meter(keys=Keys(EK, AK), refuse=lambda apdu: refusal if apdu[0] == 0x60 else None))
    assert "the public client cannot read" in await refused(bench, MeterRefused, password=GMAC)


async def test_the_highest_invocation_counter_is_gone_on_from() -> None:
    meter = small_meter(keys=Keys(EK, AK, counter=501))
    meter.attributes |= {(1, "0.0.43.1.0", 2): u32(20), (1, "0.0.43.1.1", 2): u32(500)}
    bench = Bench(meter)
    await bench.read(password=GMAC)
    assert bench.states()[Section.REGISTERS] is SectionState.READ


@pytest.mark.parametrize("size", [40, 128, 1000])
async def test_no_secret_stands_in_the_trace_however_it_is_cut(size: int) -> None:
    password = "a rather long secret that no single short frame can hold"
    bench = Bench(small_meter(password=password.encode()), size=size)
    await bench.read(password=password)
    lines = [json.loads(line) for line in gzip.decompress(bench.line.trace.render()).splitlines()]
    shown = "".join(line["hex"] for line in lines if line["dir"] == "tx")
    for start in range(len(password) - 3):
        assert password[start : start + 4].encode().hex() not in shown
    assert "**" in shown


async def test_keys_and_proofs_are_struck_out_of_the_trace() -> None:
    meter = small_meter(keys=Keys(EK, AK))
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)
    bench = Bench(meter)
    await bench.read(password=GMAC)
    assert repr(bench.line.secrets) == "Secrets(6)"
    notes = gzip.decompress(bench.line.trace.render()).decode()
    for key in (EK, AK):
        assert key.hex() not in notes


@pytest.mark.parametrize(
    ("profile", "outstation", "password", "why"),
    [
        (dlms_types.GENERAL, "200/1", "", "no such outstation address"),
        (dlms_types.GENERAL, "1/1/17/1", "", "no such outstation address"),
        (dlms_types.WRAPPED, "1/1/17", "", "over the TCP wrapper"),
        (dlms_types.GENERAL, "1/1", "gmac:12:34", "the keys are not"),
        (dlms_types.LANDIS_GYR, "", "", "must be given"),
        (dlms_types.LANDIS_GYR, "3380", GMAC, "HLS-GMAC is for meters with logical names"),
    ],
)
async def test_what_cannot_be_called_is_never_sent(
    profile: MeterProfile, outstation: str, password: str, why: str
) -> None:
    bench = Bench(small_meter(), profile)
    assert why in await refused(bench, NotConfigured, outstation_address=outstation, password=password)
    assert bench.channel.sent == []


@pytest.mark.parametrize(
    ("profile", "terms", "client", "server"),
    [
        (dlms_types.GENERAL, {}, 1, "03"),
        (dlms_types.GENERAL, {"outstation_address": "2/1/16"}, 2, "02 21"),
        (dlms_types.GENERAL, {"outstation_address": "16/1/17/4"}, 16, "00 02 00 23"),
        (dlms_types.ITRON_SL7000, {}, 1, "02 23"),
        (dlms_types.ISKRA_MX37X, {}, 100, "02 23"),
        (dlms_types.ISKRA_MT880, {}, 1, "02 23"),
        (dlms_types.CEWE_PROMETER_100, {}, 1, "03"),
        (dlms_types.LANDIS_GYR, {"serial_number": "51282380"}, 32, "00 02 34 69"),
        (dlms_types.LANDIS_GYR, {"serial_number": "51282380", "password": ""}, 16, "00 02 34 69"),
        (dlms_types.LANDIS_GYR, {"outstation_address": "3380"}, 32, "00 02 34 69"),
        (dlms_types.LANDIS_GYR, {"outstation_address": "48/17/5481"}, 48, "00 22 54 D3"),
    ],
)
async def test_every_type_calls_its_meter_by_its_address(
    profile: MeterProfile, terms: dict[str, object], client: int, server: str
) -> None:
    bench = Bench(small_meter(), profile, spoil=lambda _answer, _turn: [])
    await refused(bench, MeterSilent, **terms)
    reader = FrameReader()
    reader.feed(bench.channel.sent[0])
    frame = reader.next()
    assert isinstance(frame, Frame)
    assert (frame.source, frame.destination) == (client_address(client), bytes.fromhex(server))


# --- short names


def short_meter(**habits: object) -> ScriptedMeter:
    meter = small_meter(conformance=0x180220, **habits)
    names = dict.fromkeys((class_id, obis) for class_id, obis, _ in meter.attributes)
    meter.bases = {key: 0xFD00 - 0x100 * place for place, key in enumerate(names)}
    return meter


async def test_a_meter_of_short_names_is_read_by_its_object_list() -> None:
    bench = Bench(short_meter(), dlms_types.LANDIS_GYR, client=32, server=server_address(1, 3380))
    data = await bench.read(serial_number="51282380", survey=survey())
    assert bench.states() == ALL_READ
    assert data.serial_number == "12345678"
    assert register_values(data)["Active Maximum Demand Import Time"] == "2026-02-10T17:30:00Z"
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert bench.requests(0x05)[0] == bytes.fromhex("050102FA08")
    assert bench.requests(0xC0) == []


async def test_short_names_are_found_whatever_their_channel() -> None:
    meter = short_meter()
    for key in list(meter.attributes):
        if key[1].startswith("1.0.") and key[0] != 1:
            meter.attributes[key[0], "1.1." + key[1][4:], key[2]] = meter.attributes.pop(key)
    meter.attributes[7, "1.1.99.1.0", 3] = array([column(8, "0.0.1.0.0"), column(3, "1.1.1.8.0")])
    names = dict.fromkeys((class_id, obis) for class_id, obis, _ in meter.attributes)
    meter.bases = {key: 0xFD00 - 0x100 * place for place, key in enumerate(names)}
    bench = Bench(meter, dlms_types.LANDIS_GYR, client=32, server=server_address(1, 3380))
    data = await bench.read(outstation_address="3380")
    assert register_values(data)["Active Energy Import"] == "10049.926 kWh"
    assert data.profile_configuration == ("kWh Import (total)",)


async def test_short_names_are_read_singly_by_a_meter_that_refuses_several() -> None:
    expected = await Bench(short_meter(), dlms_types.LANDIS_GYR, client=32, server=server_address(1, 3380)).read(
        outstation_address="3380", survey=survey()
    )
    meter = short_meter(refuse=lambda apdu: b"\xd8\x01\x02" if apdu[0] == 0x05 and apdu[1] > 1 else None)
    bench = Bench(meter, dlms_types.LANDIS_GYR, client=32, server=server_address(1, 3380))
    assert await bench.read(outstation_address="3380", survey=survey()) == expected
    assert len([apdu for apdu in bench.requests(0x05) if apdu[1] > 1]) == 1


async def test_short_names_that_are_refused_a_range_are_read_by_entry() -> None:
    def refuse(apdu: bytes) -> bytes | None:
        return b"\xd8\x01\x02" if apdu[:3] == b"\x05\x01\x04" and apdu[5] == 1 else None

    bench = Bench(
        short_meter(select=by_entry(half_hours()), refuse=refuse),
        dlms_types.LANDIS_GYR,
        client=32,
        server=server_address(1, 3380),
    )
    data = await bench.read(outstation_address="3380", survey=survey())
    assert surveyed(data) == {"kWh Import (total)": whole()}


@pytest.mark.parametrize("answer", ["0C010103", "D80102"])
async def test_short_names_without_an_object_list_are_told(answer: str) -> None:
    meter = short_meter(refuse=lambda apdu: bytes.fromhex(answer) if apdu[3:] == b"\xfa\x08" else None)
    bench = Bench(meter, dlms_types.LANDIS_GYR, client=32, server=server_address(1, 3380))
    why = await refused(bench, MeterRefused, outstation_address="3380")
    assert why.startswith("the meter gave no object list: ")


# --- captured meters


def captured(file: str, direction: str = "< ") -> list[bytes]:
    lines = (CAPTURES / file).read_text().splitlines()
    return [bytes.fromhex(line[2:]) for line in lines if line.startswith(direction)]


def captured_values(file: str) -> list[bytes]:
    """The values that a captured meter answered with, blocks joined, in order."""
    joined, long, found = b"", b"", []
    for data in captured(file):
        reader = FrameReader()
        reader.feed(data)
        frame = reader.next()
        assert isinstance(frame, Frame)
        if frame.kind is not Kind.I:
            continue
        joined += frame.information
        if frame.segmented:
            continue
        apdu, joined = joined[3:], b""
        if apdu[:2] == b"\xc4\x01":
            found.append(apdu[4:])
        elif apdu[:2] == b"\xc4\x02":
            blocks = Reader(apdu, 9)
            long += blocks.take(blocks.length())
            if apdu[3]:
                found.append(long)
    return found


async def test_the_captured_norax_3_is_read_with_its_opposite_deviation() -> None:
    device, clock, _, period, in_use, _, columns, buffer = captured_values("dlms_apator_norax3_ln_session.hex")
    day = datetime(2020, 4, 14, tzinfo=UTC)
    chosen = array([column(8, "0.0.1.0.0"), column(3, "1.0.15.8.0")])
    meter = ScriptedMeter(
        {
            (1, "0.0.96.1.0", 2): device,
            (8, "0.0.1.0.0", 2): clock,
            (7, "1.0.99.1.0", 3): chosen,
            (7, "1.0.99.1.0", 4): period,
            (7, "1.0.99.1.0", 7): in_use,
            (3, "1.0.15.8.0", 3): scale(0, 30),
        },
        select=lambda _key, _selector: buffer,
    )
    assert len(columns) > 100
    bench = Bench(meter)
    bench.clock = ManualClock(datetime(2020, 5, 9, 11, 26, 20, tzinfo=UTC))
    bench.channel = AnsweringChannel(bench.clock, bench.end.answer, CharacterFormat.EIGHT_NONE)
    bench.line = Line(bench.channel, None, bench.clock)
    data = await bench.read(survey=SurveyRange(day, day + DAY), password="")
    assert data.serial_number == "APAnor3094481130"
    assert data.clock is not None
    assert (data.clock.meter_time, data.clock.offset_seconds) == (datetime(2020, 5, 9, 11, 26, 15, tzinfo=UTC), -5)
    readings = surveyed(data)["1-0:15.8.0 (total)"]
    assert (readings[0].start, readings[0].value) == (datetime(2020, 4, 14, 6, tzinfo=UTC), Decimal("12.754"))
    assert (readings[-1].start, readings[-1].value) == (datetime(2020, 4, 14, 18, 30, tzinfo=UTC), Decimal("13.559"))
    assert len(readings) == 25


async def test_the_captured_idis_meter_s_quarter_hours_are_read() -> None:
    [buffer] = captured("dlms_idis_profile_buffer_null.hex")
    meter = small_meter(select=lambda _key, _selector: buffer)
    meter.attributes[7, "1.0.99.1.0", 3] = array(
        [column(8, "0.0.1.0.0"), column(*STATUS), column(*IMPORT), column(*EXPORT)]
    )
    meter.attributes[7, "1.0.99.1.0", 4] = u32(3600)
    evening = datetime(2019, 12, 31, 20, tzinfo=UTC)
    data = await Bench(meter).read(survey=SurveyRange(evening, evening + DAY))
    status = ("clock invalid", "data not valid")
    starts = [evening + timedelta(hours=hours) for hours in range(1, 5)]
    assert surveyed(data) == {
        "kWh Import (total)": [SurveyReading(start, Decimal("1.517"), status) for start in starts],
        "kWh Export (total)": [SurveyReading(start, Decimal("16.20"), status) for start in starts],
    }


async def test_the_captured_e650_gives_its_serial_number_by_short_names() -> None:
    """Its answers to FD08 and 5A88, with an object list that says what those are."""
    meter = ScriptedMeter(
        {
            (1, "0.0.42.0.0", 2): text("LGZ51282380\0\0\0\0\0"),
            (1, "0.0.96.1.0", 2): bytes.fromhex("0A083531323832333830"),
        },
        conformance=0x180220,
        max_pdu=2400,
        bases={(1, "0.0.42.0.0"): 0xFD00, (1, "0.0.96.1.0"): 0x5A80},
    )
    bench = Bench(meter, dlms_types.LANDIS_GYR, client=16, server=server_address(1, 3380), size=318)
    data = await bench.read(serial_number="51282380", password="")
    assert data.serial_number == "51282380"
    assert ("Logical device name", "LGZ51282380") in {(each.name, each.value) for each in data.properties}
    sent = {frame.information[3:] for frame in bench.frames()}
    assert bytes.fromhex("0502 02FD08 025A88") in sent


# --- faults of the line


async def test_every_lost_answer_is_fetched_again() -> None:
    expected = await Bench(small_meter()).read(survey=survey())
    for lost in range(1, 30):
        bench = Bench(small_meter(), lose=frozenset({lost}))
        data = await bench.read(survey=survey())
        assert (data.registers, data.survey) == (
            tuple(each.model_copy(update={"read_at": data.registers[0].read_at}) for each in expected.registers),
            expected.survey,
        )


async def test_every_damaged_answer_is_asked_for_again() -> None:
    for damaged in range(1, 20):
        bench = Bench(
            small_meter(),
            spoil=lambda answer, turn, at=damaged: [answer[:9] + b"\x55" + answer[10:] if turn == at else answer],  # type: ignore[misc]
        )
        await bench.read(survey=survey())
        assert bench.states() == ALL_READ


async def test_a_connect_that_is_garbled_twice_is_tried_anew() -> None:
    bench = Bench(
        small_meter(), spoil=lambda answer, turn: [answer[:9] + b"\x55" + answer[10:] if turn < 2 else answer]
    )
    await bench.read()
    assert [frame.kind for frame in bench.frames()][:4] == [Kind.SNRM, Kind.SNRM, Kind.DISC, Kind.SNRM]
    assert bench.states()[Section.REGISTERS] is SectionState.READ


async def test_noise_before_the_meter_s_first_word_is_passed_over() -> None:
    bench = Bench(small_meter(), before_first=b"\r\nCONNECT 9600\r\n\x00~")
    await bench.read()
    assert bench.states()[Section.REGISTERS] is SectionState.READ


async def test_a_busy_meter_is_polled_and_in_the_end_given_up() -> None:
    bench = Bench(small_meter(), busy=3)
    await bench.read()
    assert bench.states()[Section.REGISTERS] is SectionState.READ
    assert "busy" in await refused(Bench(small_meter(), busy=10_000), MeterSilent)


async def test_a_silent_meter_ends_in_time_and_is_signed_off() -> None:
    bench = Bench(small_meter(), spoil=lambda _answer, _turn: [])
    assert await refused(bench, MeterSilent) == "nothing came"
    assert bench.clock.monotonic() < 60
    assert bench.frames()[-1].kind is Kind.DISC


async def test_a_meter_that_refuses_to_connect_is_asked_to_disconnect_first() -> None:
    refusals = iter((Kind.DM, Kind.DM))

    def spoil(answer: bytes, turn: int) -> list[Reply]:
        kind = next(refusals, None) if turn == 0 else None
        dm = Frame(client_address(1), server_address(1), Kind.DM).encode()
        return [answer if kind is None else dm]

    bench = Bench(small_meter(), spoil=spoil)
    await bench.read()
    assert [frame.kind for frame in bench.frames()][:3] == [Kind.SNRM, Kind.DISC, Kind.SNRM]
    always = Bench(small_meter(), spoil=lambda _a, _t: [Frame(client_address(1), server_address(1), Kind.DM).encode()])
    assert await refused(always, MeterRefused) == "the meter refused to connect (DM)"


@pytest.mark.parametrize("keys", [None, Keys(EK, AK)])
async def test_a_link_that_the_meter_forgets_is_opened_again(keys: Keys | None) -> None:
    meter = small_meter(keys=keys)
    meter.attributes[1, "0.0.43.1.0", 2] = u32(0)

    def spoil(answer: bytes, turn: int) -> list[Reply]:
        dm = Frame(client_address(1), server_address(1), Kind.DM).encode()
        return [dm if turn in ({12, 16} if keys else {5, 10}) else answer]

    bench = Bench(meter, spoil=spoil)
    data = await bench.read(survey=survey(), password=GMAC if keys else PASSWORD)
    assert bench.states() == ALL_READ
    assert surveyed(data) == {"kWh Import (total)": whole()}
    assert len([frame for frame in bench.frames() if frame.kind is Kind.SNRM]) == (4 if keys else 3)


async def test_what_was_read_before_the_line_dropped_is_kept() -> None:
    dropped = Bench(
        small_meter(), spoil=lambda answer, turn: [LineDropped("gone")] if turn == 40 else [answer], size=60
    )
    with pytest.raises(LineDropped):
        await dropped.read(survey=survey(2))
    assert dropped.report.data().serial_number == "12345678"
    assert dropped.states()[Section.REGISTERS] is SectionState.READ


async def test_a_survey_that_breaks_off_says_what_is_missing() -> None:
    asked: list[bytes] = []

    def select(key: Key, selector: bytes) -> bytes | int:
        asked.append(selector)
        return by_range(half_hours())(key, selector)

    meter = small_meter(select=select)
    bench = Bench(meter, spoil=lambda answer, _: [] if len(asked) > 1 else [answer])
    await refused(bench, MeterSilent, survey=survey(2))
    assert bench.error(Section.SURVEY) == "nothing came: not read: 2026-03-02T00:00:00Z to 2026-03-02T12:00:00Z"
    assert surveyed(bench.report.data()) == {"kWh Import (total)": whole()}
    assert bench.report.failure is FailureKind.METER_SILENT


@pytest.mark.parametrize("profile", [dlms_types.GENERAL, dlms_types.WRAPPED])
async def test_babble_and_endless_answers_end_as_errors(profile: MeterProfile) -> None:
    babbling = Bench(small_meter(), profile, spoil=lambda _a, _t: [b"\x55" * 4096] * 100)
    await refused(babbling, FrameGarbled)
    endless = Bench(
        small_meter(refuse=lambda apdu: forever(apdu) if apdu[0] == 0xC0 else None),
        profile,
        limits=LineLimits(test_bytes=200_000),
    )
    await refused(endless, CallTooLong)


def forever(apdu: bytes) -> bytes:
    """One more block of a value that never ends."""
    number = int.from_bytes(apdu[3:7], "big") + 1 if apdu[1] == 2 else 1
    return bytes((0xC4, 2, apdu[2], 0)) + number.to_bytes(4, "big") + b"\x00\x40" + bytes(64)


async def test_a_meter_that_refuses_everything_is_given_up() -> None:
    bench = Bench(small_meter(refuse=lambda apdu: b"\xd8\x01\x01" if apdu[0] == 0xC0 else None))
    assert "refused the service" in await refused(bench, MeterRefused)
    assert len(bench.requests(0xC0)) < 20


@given(
    st.binary(min_size=1, max_size=200), st.integers(0, 12), st.sampled_from([dlms_types.GENERAL, dlms_types.WRAPPED])
)
@settings(max_examples=60, deadline=None)
async def test_garbage_in_place_of_any_answer_is_a_typed_error_or_passed_over(
    garbage: bytes, place: int, profile: MeterProfile
) -> None:
    bench = Bench(small_meter(), profile, spoil=lambda answer, turn: [garbage if turn >= place else answer])
    try:
        await bench.read(survey=survey())
    except DiallerError:
        return


@given(st.binary(max_size=120))
@settings(max_examples=60, deadline=None)
async def test_any_value_in_place_of_any_other_harms_nothing(value: bytes) -> None:
    meter = small_meter(select=lambda _key, _selector: value or b"\x00")
    for key in meter.attributes:
        if key[0] != 7:
            meter.attributes[key] = value or b"\x00"
    bench = Bench(meter)
    try:
        await bench.read(survey=survey())
    except DiallerError:
        return
