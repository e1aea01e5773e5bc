"""The DLMS driver against a meter in memory: what it reads."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mts_common.messages import MeterData, RegisterCategory, Section, SectionState, SurveyReading
from mts_dialler.drivers import dlms_types
from mts_dialler.drivers.base import SurveyRange
from mts_dialler.drivers.dlms_types import MeterProfile
from mts_dialler.errors import MeterRefused
from mts_dialler.line import Line
from mts_dialler.protocols.cosem.date_time import DateTime
from mts_dialler.protocols.cosem.values import Reader, array, octet_string
from mts_dialler.protocols.hdlc.frame import Frame, Kind, server_address
from mts_dialler.protocols.hdlc.reader import FrameReader
from mts_dialler.protocols.parity import CharacterFormat
from mts_dialler.testing import ManualClock
from mts_dialler.testing.answering import AnsweringChannel
from mts_dialler.testing.dlms_bench import (
    AK,
    ALL_READ,
    DAY,
    EK,
    EXPORT,
    GMAC,
    IMPORT,
    NOW,
    PASSWORD,
    STATUS,
    Bench,
    by_entry,
    column,
    half_hours,
    name,
    refused,
    register,
    scale,
    small_meter,
    stamped,
    survey,
    surveyed,
    text,
    u8,
    u16,
    u32,
    whole,
)
from mts_dialler.testing.dlms_meter import Key, Keys, ScriptedMeter

CAPTURES = Path(__file__).parent / "captures"


def register_values(data: MeterData) -> dict[str, str]:
    return {each.name: each.text or f"{each.number} {each.units}".strip() for each in data.registers}


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
