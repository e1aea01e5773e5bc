"""EDMI frames and the Atlas's registers, surveys and logs (fact sheet edmi; capture edmi_frames)."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_metersim.edmi import Envelope, Message, Receiver, stuffed
from mts_metersim.fleet import ClockSpec, EdmiOptions, Fault, FaultKind, LoadSpec, Meter, Options, Rule
from mts_metersim.load import reading
from mts_metersim.log import CallLog
from mts_metersim.server import FleetServer, running
from mts_metersim.testing import Asked, EdmiHost, answered, call_to
from mts_metersim.unit import Unit

CAPTURE = Path(__file__).parents[2] / "dialler" / "tests" / "captures" / "edmi_frames.verified.json"
FRAMES = [frame for frame in json.loads(CAPTURE.read_text()) if frame["crc_ok"]]
SERIAL = 251308613
ATLAS = Meter("EDMIATLAS", str(SERIAL), LoadSpec(2), password="EDMI,IMDEIMDE", installed_days_ago=4)
LOGIN = b"LEDMI,IMDEIMDE\0"
EPOCH = datetime(1996, 1, 1, tzinfo=UTC)


def unit_at(meter: Meter = ATLAS, moment: str = "2026-11-20T09:15:00", **changed: Any) -> Unit:
    now = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return Unit(replace(meter, **changed), lambda: now * 1_000_000_000)


def host_of(unit: Unit, asked: Asked | None = None) -> EdmiHost:
    host = EdmiHost(call_to([unit], asked), int(unit.meter.serial_number))
    assert host.ask(LOGIN) == b"\x06"
    return host


def test_every_captured_frame_is_understood_and_written_the_same() -> None:
    assert len(FRAMES) == 21
    for frame in FRAMES:
        receiver = Receiver()
        receiver.feed(bytes.fromhex(frame["wire"]))
        message = receiver.next()
        assert message is not None
        assert message.encoded().hex() == frame["wire"]
        assert message.payload.hex() == frame["body"].removeprefix(frame["body"][: -len(message.payload) * 2])


@pytest.mark.parametrize(
    ("payload", "wire"),
    [
        ("1803", "02 18 10 43 d4 d9 03"),
        ("1809", "02 18 09 75 93 03"),
        ("52f03d", "02 52 f0 3d 29 f9 03"),
        ("52f03d140b1a090f00", "02 52 f0 3d 14 0b 1a 09 0f 00 e7 b9 03"),
        ("49e000", "02 49 e0 00 7e e6 03"),
        ("4d0000f002", "02 4d 00 00 f0 10 42 88 d1 03"),
        ("46490305f008", "02 46 49 10 43 05 f0 08 dc e3 03"),
        ("46520305f008000003e8003000000016", "02 46 52 10 43 05 f0 08 00 00 10 43 e8 00 30 00 00 00 16 38 dd 03"),
        ("463000000044700060", "02 46 30 00 00 00 44 70 00 60 8d c4 03"),
    ],
)
def test_the_fact_sheets_vectors_are_written_the_same(payload: str, wire: str) -> None:
    assert Message(bytes.fromhex(payload)).encoded() == bytes.fromhex(wire)


def test_an_addressed_login_goes_as_captured() -> None:
    login, ack = FRAMES[0], FRAMES[1]
    call = call_to([unit_at()])
    assert answered(call, b"/?!\r\n") == b""
    assert answered(call, bytes.fromhex(login["wire"])).hex() == ack["wire"]


def test_a_plain_session_goes_as_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Login, serial number, an energy of rate 1, logout."""
    monkeypatch.setattr(Unit, "rate", lambda self, channel, night, at: 20_330_000_000)
    call = call_to([unit_at(serial_number="217072470")])
    wires = [bytes.fromhex(frame["wire"]) for frame in FRAMES[3:11]]
    for sent, answer in zip(wires[::2], wires[1::2], strict=True):
        assert answered(call, sent).hex() == answer.hex()


def test_attention_is_acknowledged_as_captured() -> None:
    assert answered(call_to([unit_at()]), b"\x1b\x02\x03").hex() == "020606a403"


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF))
def test_a_frame_comes_whole_through_stuffing_pieces_and_noise(payload: bytes, serial: int, sequence: int) -> None:
    sent = Message(payload, Envelope(serial, 1, sequence))
    receiver = Receiver()
    found = []
    for byte in b"\x1b/?!\r\n\x02half" + sent.encoded():
        receiver.feed(bytes([byte]))
        found += list(iter(receiver.next, None))
    assert found == [sent]


@given(st.binary(max_size=2000))
def test_garbage_is_never_an_error(data: bytes) -> None:
    answered(call_to([unit_at()]), data)
    assert not {0x02, 0x03} & set(stuffed(data))


def test_only_the_addressed_meter_answers() -> None:
    call = call_to([unit_at(), unit_at(serial_number="300")])
    assert EdmiHost(call, 300).ask(LOGIN) == b"\x06"
    assert EdmiHost(call, SERIAL).ask(b"R\xf0\x02") == b"\x18\x09"
    assert EdmiHost(call, 300).ask(b"R\xf0\x02") == b"R\xf0\x02300\0"
    assert EdmiHost(call, 301).answers(LOGIN) == []


@pytest.mark.parametrize(
    ("changed", "login", "answer"),
    [
        ({}, b"LEDMI,IMDEIMDE\0", b"\x06"),
        ({}, b"LEDMI,imdeimde\0", b"\x18\x04"),
        ({}, b"LEDMI,IMDEIMDE", b"\x18\x04"),
        ({"options": Options(edmi=EdmiOptions(bare_refusal=True))}, b"LEDMI,X\0", b"\x18"),
        ({"faults": (Fault(FaultKind.REFUSES_PASSWORD),)}, b"LEDMI,IMDEIMDE\0", b"\x18\x04"),
        ({"password": ""}, b"LANY,THING\0", b"\x06"),
    ],
)
def test_a_login_is_taken_or_refused(changed: dict[str, Any], login: bytes, answer: bytes) -> None:
    unit = unit_at(**changed)
    assert EdmiHost(call_to([unit]), SERIAL).ask(login) == answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"", "1805"),
        (b"R\xf0", "1805"),
        (b"R\x99\x99", "1803"),
        (b"M\0\0\xf0\x02", "1802"),
        (b"W\xf0\x3d\0\0\0\0\0\0", "1804"),
        (b"F9\0\0\0\0\0\0\1", "1808"),
        (b"F0\0", "1805"),
        (b"R\x01\xf0", "1803"),
        (b"R\x1e\x03", "1803"),
        (b"R\x1e\x21", "1803"),
    ],
)
def test_what_cannot_be_answered_gets_its_code(command: bytes, answer: str) -> None:
    assert host_of(unit_at()).ask(command).hex() == answer


def test_logout_and_inactivity_end_the_session() -> None:
    host = host_of(unit_at())
    assert host.ask(b"X") == b"\x06"
    assert host.ask(b"R\xf0\x02") == b"\x18\x09"
    unit = unit_at()
    call = call_to([unit])
    quiet = EdmiHost(call, SERIAL)
    quiet.ask(LOGIN)
    assert call.patience == unit.meter.options.inactivity_seconds
    assert call.silence()
    assert quiet.ask(b"R\xf0\x02") == b"\x18\x09"


def test_data_may_not_be_ready_at_first_and_answers_may_come_twice() -> None:
    late = host_of(unit_at(options=Options(edmi=EdmiOptions(not_ready=2))))
    assert [late.ask(b"R\xf0\x02")[:1] for _ in range(3)] == [b"\x18", b"\x18", b"R"]
    twice = unit_at(options=Options(edmi=EdmiOptions(duplicates=True)))
    first, second = EdmiHost(call_to([twice]), SERIAL).answers(LOGIN)
    assert first == second == b"\x06"


def test_the_log_tells_the_login_but_no_password() -> None:
    asked = Asked()
    host = host_of(unit_at(), asked)
    host.ask(b"R\xf0\x02")
    host.ask(b"LEDMI,SECRET\0")
    assert asked.signed_on == [(str(SERIAL), str(SERIAL))] * 2
    assert asked.noted == [("Password L (right)", False), ("R F002", False), ("Password L (wrong)", True)]


def test_the_clock_keeps_standard_time() -> None:
    summer = unit_at(moment="2026-07-10T09:15:00", clock=ClockSpec("Europe/Berlin"))
    host = host_of(summer)
    assert host.ask(b"R\xf0\x3d")[3:].hex() == "0a071a0a0f00"
    assert host.ask(b"R\xf0\x61")[3:].hex() == "0a071a0b0f00"
    assert host.ask(b"R\xf0\x10")[3:].hex() == "0a071a"
    assert host.ask(b"R\xf0\x11")[3:].hex() == "0a0f00"


def test_a_register_tells_its_type_and_unit() -> None:
    host = host_of(unit_at())
    assert host.ask(b"I\xe0\x00") == b"I\xe0\x00FVPhase A Voltage\0"
    assert host.ask(b"I\x1e\x00") == b"I\x1e\x00FX\0"
    assert host.ask(b"I\xf0\x3d") == b"I\xf0\x3dTNClock\0"


def f32(host: EdmiHost, number: int) -> float:
    answer = host.ask(b"R" + number.to_bytes(2, "big"))
    assert answer[:3] == b"R" + number.to_bytes(2, "big")
    found: tuple[float] = struct.unpack(">f", answer[3:])
    return found[0]


def test_energies_are_in_watt_hours_by_period_channel_and_rate() -> None:
    unit = unit_at()
    host = host_of(unit)
    now, reset = unit.clock.now(), unit.installed
    for place, names in enumerate((("import",), ("export",), ("q1", "q2"), ("q3", "q4"))):
        total = sum(unit.total(name, now) for name in names)
        assert f32(host, 0x1E00 | place << 4) == pytest.approx(total / 1000, rel=1e-7)
        grown = total - sum(unit.total(name, reset) for name in names)
        assert f32(host, place << 4) == pytest.approx(grown / 1000, rel=1e-7)
    rates = [f32(host, 0x1E00 | rate) for rate in (1, 2)]
    assert sum(rates) == pytest.approx(f32(host, 0x1E00), rel=1e-6)


def test_billing_periods_and_demands_follow_the_resets() -> None:
    unit = unit_at(installed_days_ago=40)
    host = host_of(unit)
    reset = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    assert f32(host, 0x1C00) == pytest.approx(unit.total("import", reset) / 1000, rel=1e-7)
    assert f32(host, 0x0200) == pytest.approx(
        (unit.total("import", reset) - unit.total("import", unit.installed)) / 1000, rel=1e-6
    )
    (best,) = unit.greatest("import", reset, unit.clock.now())
    assert f32(host, 0x2000) == best[0] / 1000
    moment = datetime.fromtimestamp(best[1], UTC)
    assert host.ask(b"R\x40\x00")[3:] == bytes([moment.day, moment.month, 26, moment.hour, moment.minute, 0])
    assert host.ask(b"R\x62\x00")[3:].hex() == "010b1a000000"
    assert host.ask(b"R\xf0\x32")[3:].hex() == "00000001"


def whole(host: EdmiHost, number: int) -> int:
    return int.from_bytes(host.ask(b"R" + number.to_bytes(2, "big"))[3:], "big")


def fetched(host: EdmiHost, log: int, start: int, count: int) -> tuple[int, int, bytes]:
    answer = host.ask(bytes([0x46, 0x30 + log, 0]) + start.to_bytes(4, "big") + count.to_bytes(2, "big"))
    assert answer[:3] == bytes([0x46, 0x30 + log, 0])
    return int.from_bytes(answer[3:7], "big"), int.from_bytes(answer[7:9], "big"), answer[9:]


def all_records(host: EdmiHost, log: int, first: int, last: int, size: int) -> Iterator[bytes]:
    at = first
    while at < last:
        start, count, data = fetched(host, log, at, 0xFFFF)
        assert (start, len(data)) == (at, count * size)
        assert 0 < len(data) <= 2048
        yield from (data[n : n + size] for n in range(0, len(data), size))
        at += count


HAPPENINGS = {
    "none": Options(),
    "quarter hours": Options(period_minutes=15),
    "cuts": Options(power_cuts=Rule(2, 610, 100)),
    "gaps": Options(gaps=Rule(2, 600, 90)),
    "clock sets": Options(clock_sets=Rule(1, 845)),
}


@pytest.mark.parametrize("kind", ["house", "shop", "factory"])
@pytest.mark.parametrize("happens", HAPPENINGS)
@pytest.mark.parametrize("early", [False, True])
def test_the_survey_holds_the_truth(kind: str, happens: str, early: bool) -> None:
    """Definition words give scale and decimals; a record without bit 0 is none; stamps by start time and number."""
    options = replace(HAPPENINGS[happens], edmi=EdmiOptions(start_stamps=early))
    unit = unit_at(load=LoadSpec(2, kind), options=options, clock=ClockSpec("Europe/London"), moment="2026-10-27T14:10")
    host = host_of(unit)
    first, last, shape = (whole(host, number) for number in (0xD802, 0xD804, 0xD806))
    channels, minutes = shape & 0x3F, shape >> 6
    definitions = [whole(host, 0xD840 + place) for place in range(channels + 1)]
    assert [word & 0xFF for word in definitions] == [0x13, 0x23, 0x37, 0x47, 0x57, 0x67, 0xFF]
    day, month, year, hour, minute, second = host.ask(b"R\xd8\xb0")[3:]
    began = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    found = {}
    for number, record in enumerate(all_records(host, 0, first, last, 2 * channels + 1), first):
        stamp = began + number * timedelta(minutes=minutes)
        start = stamp if early else stamp - timedelta(minutes=minutes)
        if record[-1] & 1:
            raw = struct.unpack(f"<{channels}H", record[:-1])
            found[start] = [
                Decimal(value).scaleb(3 * (word >> 10 & 3) - 3 - (word >> 12 & 7))
                for value, word in zip(raw, definitions, strict=False)
            ]
        else:
            assert not any(record)
    expected = {}
    for at in range(unit.installed, unit.clock.now() - unit.period + 1, unit.period):
        start = datetime.fromtimestamp(at, UTC)
        values = [reading(unit.meter, name, start) for name in unit.meter.options.channels]
        if values[0] is not None:
            expected[start] = values
    assert found == expected
    assert last - first == (unit.clock.now() - unit.installed) // unit.period


def test_status_bits_tell_incomplete_periods_and_power_failures() -> None:
    unit = unit_at(options=Options(power_cuts=Rule(1, 610, 10), clock_sets=Rule(1, 845)), moment="2026-11-20T00:00")
    host = host_of(unit)
    records = list(all_records(host, 0, 1, 49, 13))[:48]
    told = {place: record[-1] for place, record in enumerate(records) if record[-1] != 1}
    assert told == {20: 0x07, 28: 0x03}


def test_a_survey_read_starts_at_the_oldest_record_and_ends_at_the_newest() -> None:
    host = host_of(unit_at())
    last = whole(host, 0xD804)
    assert fetched(host, 0, 0, 2)[:2] == (1, 2)
    assert fetched(host, 0, last - 1, 50)[:2] == (last - 1, 1)
    assert fetched(host, 0, last + 7, 50)[1:] == (0, b"")


def test_the_second_survey_holds_readings_with_scale_registers() -> None:
    host = host_of(unit_at())
    assert whole(host, 0xD807) & 0x3F == 2
    assert [whole(host, 0xD860 + place) & 0xFF for place in range(3)] == [0x83, 0x8F, 0xFF]
    _, count, data = fetched(host, 1, 1, 3)
    volts, hertz, status = struct.unpack("<hhB", data[:5])
    assert (count, status) == (3, 1)
    assert 230 < volts * f32(host, 0xD808) < 250
    assert hertz * f32(host, 0xD80C) == pytest.approx(50, abs=0.1)


def test_an_empty_survey_has_no_records() -> None:
    host = host_of(unit_at(options=Options(empty_survey=True)))
    assert whole(host, 0xD802) == whole(host, 0xD804)
    assert fetched(host, 0, 1, 10)[1:] == (0, b"")


def test_event_logs_tell_power_failures_clock_settings_and_billing_resets() -> None:
    options = Options(power_cuts=Rule(1, 610, 10), clock_sets=Rule(1, 845))
    unit = unit_at(options=options, installed_days_ago=20, moment="2026-11-20T23:00")
    host = host_of(unit)
    for log, expected in (
        (0, [(0x1000, "10:10"), (0x1010, "10:20"), (0x20CF, "14:05")]),
        (2, [(0x5000, "00:00")]),
        (1, []),
    ):
        first, last = whole(host, 0xD815 + log), whole(host, 0xD81A + log)
        entries = list(all_records(host, log + 2, first, last, 6))
        told = [struct.unpack("<HL", entry) for entry in entries]
        shown = [(code, f"{EPOCH + timedelta(seconds=seconds):%H:%M}") for code, seconds in told]
        assert shown[-len(expected) :] == expected or not (shown or expected)
    assert last == 0


def test_a_wrong_serial_is_shown_under_the_right_address() -> None:
    host = host_of(unit_at(faults=(Fault(FaultKind.WRONG_SERIAL),)))
    assert host.ask(b"R\xf0\x02") == b"R\xf0\x02251308610\0"


async def test_a_spoilt_crc_is_wrong_and_an_endless_register_has_no_end() -> None:
    meters = [
        replace(ATLAS, line="a", faults=(Fault(FaultKind.WRONG_BCC, 1),)),
        replace(ATLAS, line="b", faults=(Fault(FaultKind.ENDLESS),)),
    ]
    login, register = (Message(payload, Envelope(SERIAL, 1, 1)).encoded() for payload in (LOGIN, b"R\xf0\x02"))
    with CallLog(None) as calls:
        async with running(meters, calls) as server:
            async with connected(server, 0) as (reader, writer):
                writer.write(login)
                spoilt = await reader.readuntil(b"\x03")
                receiver = Receiver()
                receiver.feed(spoilt)
                assert receiver.next() is None
                writer.write(login)
                receiver.feed(await reader.readuntil(b"\x03"))
                assert receiver.next() == Message(b"\x06", Envelope(1, SERIAL, 1))
            async with connected(server, 1) as (reader, writer):
                writer.write(login)
                await reader.readuntil(b"\x03")
                writer.write(register)
                data = await reader.readexactly(20_000)
    assert data.startswith(register[:1])
    assert b"\x03" not in data


@asynccontextmanager
async def connected(
    server: FleetServer, index: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port_of(server.units[index]))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


def test_instantaneous_values_belong_together() -> None:
    unit = unit_at(moment="2026-11-20T14:10:00")
    host = host_of(unit)
    active, reactive, apparent = (f32(host, number) for number in (0xE033, 0xE043, 0xE053))
    assert active == unit.power("import", unit.clock.now()) - unit.power("export", unit.clock.now())
    assert apparent == pytest.approx((active**2 + reactive**2) ** 0.5, abs=1)
    assert f32(host, 0xE026) == pytest.approx(abs(active) / apparent, rel=1e-6)
    assert sum(f32(host, 0xE030 + phase) for phase in range(3)) == pytest.approx(active, abs=1)
    by_phase = sum(f32(host, 0xE000 + phase) * f32(host, 0xE010 + phase) for phase in range(3))
    assert by_phase == pytest.approx(apparent, rel=1e-5)
    assert f32(host, 0xE060) == pytest.approx(50, abs=0.1)


def test_ratios_and_flags_are_told() -> None:
    host = host_of(unit_at(options=Options(ct=(200, 5), status_word=1)))
    assert [whole(host, number) for number in (0xF700, 0xF701, 0xF702, 0xF703)] == [200, 1, 5, 1]
    assert host.ask(b"R\xf0\x16")[3:] == b"!" + b" " * 15 + b"\0"
    assert whole(host, 0xD880) & 0xFF == 0x13
    assert whole(host, 0xD89F) == 0x00FF
