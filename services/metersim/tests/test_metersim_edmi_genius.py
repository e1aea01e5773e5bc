"""The EDMI Genius: registers of 32 bits, billing by nibbles, survey objects in their internal form."""

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from mts_metersim.fleet import ClockSpec, EdmiOptions, LoadSpec, Meter, Options, Rule
from mts_metersim.load import reading
from mts_metersim.testing import EdmiHost, call_to
from mts_metersim.unit import Unit

SERIAL = 217072470
GENIUS = Meter("EDMIGENIUS", str(SERIAL), LoadSpec(2), password="READER,SIM00001", installed_days_ago=4)
EPOCH = datetime(1996, 1, 1, tzinfo=UTC)


def unit_at(moment: str = "2026-11-20T09:15:00", **changed: Any) -> Unit:
    now = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return Unit(replace(GENIUS, **changed), lambda: now * 1_000_000_000)


def host_of(unit: Unit) -> EdmiHost:
    host = EdmiHost(call_to([unit]), SERIAL)
    assert host.ask(b"LREADER,SIM00001\0") == b"\x06"
    return host


def read(host: EdmiHost, number: int) -> bytes:
    asked = b"M" + number.to_bytes(4, "big")
    answer = host.ask(asked)
    assert answer.startswith(asked)
    return answer[5:]


def whole(host: EdmiHost, number: int) -> int:
    return int.from_bytes(read(host, number), "big")


def moment_of(octets: bytes) -> datetime:
    day, month, year, hour, minute, second = octets
    return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)


def test_registers_are_read_and_described_by_32_bits() -> None:
    host = host_of(unit_at())
    assert read(host, 0xF002) == b"217072470\0"
    assert host.ask(b"O\0\0\xf0\x02") == b"O\0\0\xf0\x02GNSerial Number\0"
    assert struct.unpack(">f", read(host, 0xF700)) == (100.0,)
    assert moment_of(read(host, 0xF03D)) == datetime(2026, 11, 20, 9, 15, tzinfo=UTC)
    assert moment_of(read(host, 0xFC00)) == EPOCH.replace(year=2096)


def test_several_registers_are_read_in_one_an_unknown_one_is_its_code_alone() -> None:
    host = host_of(unit_at())
    numbers = (0xF002, 0x9999, 0xF012)
    answer = host.ask(b"M\0\0\xff\xf1" + b"".join(number.to_bytes(4, "big") for number in numbers))
    assert answer == b"M\0\0\xff\xf1" + b"\x00" + b"217072470\0" + b"\x03\x03"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"R\xf0\x02", "1802"),
        (b"M\xf0\x02", "1805"),
        (b"O\0\0\xf0\x02\0\0\xf0\x02", "1805"),
        (b"M\0\0\x07\x69", "1803"),
        (b"M\0\0\0\x63", "1803"),
        (b"N\0\0\xf0\x3d\0", "1804"),
        (b"FI\x03\x06\xf0\x08", "1803"),
        (b"FI\x03\x05\xf0\x09", "1803"),
        (b"FR\x03\x05\xf0\x08\0", "1805"),
        (b"FX\x03\x05\xf0\x08", "1802"),
        (b"FR\x03\x05\xf0\x08\0\0\0\0\0\x01\0\x20\0\x01", "1808"),
        (b"FS\x03\x05\xf0\x08\0\0\0\0\x1f\x02\x1a\0\0\0\x01", "1808"),
    ],
)
def test_what_cannot_be_answered_gets_its_code(command: bytes, answer: str) -> None:
    assert host_of(unit_at()).ask(command).hex() == answer


def test_billing_registers_follow_their_nibbles() -> None:
    unit = unit_at(installed_days_ago=40)
    host = host_of(unit)
    now, reset = unit.clock.now(), int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())

    def f64(number: int) -> float:
        return float(struct.unpack(">d", read(host, number))[0])

    assert f64(0x0069) == unit.total("import", now) / 1000
    assert f64(0x0169) == unit.total("export", now) / 1000
    assert f64(0x0049) == unit.total("import", reset) / 1000
    assert f64(0x0009) == (unit.total("import", now) - unit.total("import", reset)) / 1000
    assert f64(0x0029) == (unit.total("import", reset) - unit.total("import", unit.installed)) / 1000
    assert f64(0x0060) + f64(0x0061) == pytest.approx(f64(0x0069))
    (best,) = unit.greatest("import", reset, now)
    assert struct.unpack(">f", read(host, 0x1009)) == (best[0] / 1000,)
    assert moment_of(read(host, 0x8009)) == datetime.fromtimestamp(best[1], UTC)
    assert [whole(host, 0xF780 + place) for place in (0, 1, 2, 11)] == [0xE397, 0xE393, 0xE39F, 0]


def test_survey_objects_are_found_by_name() -> None:
    host = host_of(unit_at())
    names = [read(host, 0x00020000 + place) for place in range(whole(host, 0x0002F001))]
    assert names == [b"LS01\0", b"LS02\0", b"Event Log\0"]
    assert [whole(host, 0x00021000 + place) for place in range(3)] == [0x0300, 0x0320, 0x0340]


def file_info(host: EdmiHost, number: int) -> tuple[int, int, int, bytes]:
    answer = host.ask(b"FI" + (number << 16 | 0xF008).to_bytes(4, "big"))
    start, count, size, _ = struct.unpack(">LLHB", answer[6:17])
    return start, count, size, answer[17:]


def records(host: EdmiHost, number: int, start: int, count: int, size: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        address = (number << 16 | 0xF008).to_bytes(4, "big")
        asked = struct.pack(">LHHH", start + len(found), count - len(found), 0, size)
        answer = host.ask(b"FR" + address + asked)
        got_start, got, offset, got_size = struct.unpack(">LHHH", answer[6:16])
        assert (got_start, offset, got_size) == (start + len(found), 0, size)
        assert 0 < got * size == len(answer[16:]) <= 2048
        found += [answer[16:][n : n + size] for n in range(0, got * size, size)]
    return found


HAPPENINGS = {
    "none": Options(),
    "cuts": Options(power_cuts=Rule(2, 610, 100)),
    "gaps": Options(gaps=Rule(2, 600, 90)),
    "clock sets": Options(clock_sets=Rule(1, 845)),
}


@pytest.mark.parametrize("kind", ["house", "shop", "factory"])
@pytest.mark.parametrize("happens", HAPPENINGS)
@pytest.mark.parametrize("early", [False, True])
def test_the_survey_holds_the_truth(kind: str, happens: str, early: bool) -> None:
    """Counts x factor, the factor as the shortest decimal of its f32; a record with 0002 is none."""
    options = replace(HAPPENINGS[happens], edmi=EdmiOptions(start_stamps=early))
    unit = unit_at("2026-10-27T14:10", load=LoadSpec(2, kind), options=options, clock=ClockSpec("Europe/London"))
    host = host_of(unit)
    start, count, size, name = file_info(host, 0x0305)
    assert name == b"LS01\0"
    assert (whole(host, 0x0305F012), whole(host, 0x0305F018), whole(host, 0x0305F021)) == (6, size, start + count)
    assert [whole(host, 0x0305E500 + place) for place in range(3)] == [0, 2, 6]
    assert [chr(whole(host, 0x0305E200 + place)) for place in range(3)] == ["H", "O", "O"]
    assert [chr(whole(host, 0x0305E300 + place)) for place in (1, 2, 3)] == ["X", "X", "Y"]
    (factor,) = struct.unpack(">f", read(host, 0x0305E801))
    scale = Decimal(f"{factor:.7g}") / 1000
    began = moment_of(read(host, 0x0305F020))
    interval = timedelta(seconds=whole(host, 0x0305F014))
    found = {}
    for place, record in enumerate(records(host, 0x0305, start, count, size), start):
        status, *counts = struct.unpack(">H6L", record)
        if not status & 0x0002:
            found[began + place * interval - (timedelta(0) if early else interval)] = [raw * scale for raw in counts]
    expected = {}
    for at in range(unit.installed, unit.clock.now() - unit.period + 1, unit.period):
        moment = datetime.fromtimestamp(at, UTC)
        values = [reading(unit.meter, channel, moment) for channel in unit.meter.options.channels]
        if values[0] is not None:
            expected[moment] = values
    assert found == expected


def test_status_words_tell_incomplete_periods_and_power_failures() -> None:
    unit = unit_at("2026-11-20T00:00", options=Options(power_cuts=Rule(1, 610, 10), gaps=Rule(1, 60, 30)))
    statuses = [int.from_bytes(record[:2], "big") for record in records(host_of(unit), 0x0305, 0, 48, 26)]
    assert {place: status for place, status in enumerate(statuses) if status} == {2: 0x0002, 20: 0x000C}


def test_old_records_are_dropped_beyond_the_capacity() -> None:
    unit = unit_at("2026-11-20T00:00", installed_days_ago=40, options=Options(period_minutes=15))
    start, count, size, _ = file_info(host_of(unit), 0x0305)
    assert (start, count) == (40 * 96 - 2880, 2880)
    assert len(records(host_of(unit), 0x0305, start, 3, size)) == 3


@pytest.mark.parametrize(
    ("moment", "forward", "found", "at", "fit"),
    [
        ("17 11 26 00 30 00", 1, 48, "17 11 26 00 30 00", 0),
        ("17 11 26 00 40 00", 1, 49, "17 11 26 01 00 00", 2),
        ("17 11 26 00 40 00", 0, 48, "17 11 26 00 30 00", 2),
        ("01 01 20 00 00 00", 1, 0, "16 11 26 00 30 00", 2),
        ("01 01 30 00 00 00", 1, 209, "20 11 26 09 00 00", 1),
    ],
)
def test_a_record_is_found_by_its_time(moment: str, forward: int, found: int, at: str, fit: int) -> None:
    asked = bytes(int(part) for part in moment.split())
    answer = host_of(unit_at()).ask(b"FS\x03\x05\xf0\x08\0\0\0\0" + asked + bytes([forward]))
    assert answer[6:10] == found.to_bytes(4, "big")
    assert answer[10:16] == bytes(int(part) for part in at.split())
    assert answer[16] == fit


def test_a_file_without_records_or_stamps_says_so() -> None:
    asked = b"FS\x03\x05\xf0\x08\0\0\0\0\x01\x01\x1a\0\0\0\x01"
    empty = host_of(unit_at(options=Options(empty_survey=True)))
    assert empty.ask(asked)[-1] == 4
    assert file_info(empty, 0x0305)[:2] == (0, 0)
    assert host_of(unit_at()).ask(asked.replace(b"\x05", b"\x45", 1))[-1] == 3


def test_readings_and_events_are_objects_too() -> None:
    unit = unit_at("2026-11-20T23:00", options=Options(power_cuts=Rule(1, 610, 10)))
    host = host_of(unit)
    start, count, size, _ = file_info(host, 0x0325)
    status, volts = struct.unpack(">Hf", records(host, 0x0325, start, count, size)[0])
    assert status == 0
    assert 230 < volts < 250
    start, count, size, name = file_info(host, 0x0345)
    assert (name, count) == (b"Event Log\0", 2 * 5)
    entries = [struct.unpack(">HL32s", entry) for entry in records(host, 0x0345, start, count, size)]
    shown = [(f"{EPOCH + timedelta(seconds=at):%d %H:%M}", text.rstrip(b"\0")) for _, at, text in entries]
    assert shown[-2:] == [("20 10:10", b"Power Off"), ("20 10:20", b"Power On")]
