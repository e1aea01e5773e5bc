"""The A1700's security, identities and encodings, against published vectors and captured payloads."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.elster import encodings, layouts
from mts_dialler.protocols.elster.identities import (
    Model,
    ProfileSize,
    model,
    parse_packet,
    parse_text,
    read_packet,
    read_packets,
    status_words,
    write,
)
from mts_dialler.protocols.elster.security import answer
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError
from mts_dialler.protocols.iec62056_21.framing import parse_identification
from mts_dialler.protocols.iec62056_21.messages import Command

CAPTURES = Path(__file__).parent / "captures"


def payload(identity: str) -> bytes:
    for line in (CAPTURES / "a1700_payloads.txt").read_text().splitlines():
        if line.startswith(f"{identity}("):
            return bytes.fromhex(line.partition("=")[2].partition(";")[0])
    raise AssertionError(identity)


# --- security


@pytest.mark.parametrize(
    ("password", "seed", "expected"),
    [
        ("FEDC0003", "FD2BA0E29731D230", "BE2C10B158593B3E"),
        ("FEDC0003", "29EDC6D335E59C87", "23CB4DDDE2B76317"),
        ("12345678", "0000000000000000", "699BCE02376DA4DC"),
        ("ABCDEFGH", "0123456789ABCDEF", "E7484E713D2AB45B"),
        ("ABCDEFGH", "FFFFFFFFFFFFFFFF", "7532EEA9631CD48B"),
    ],
)
def test_the_answer_to_a_seed(password: str, seed: str, expected: str) -> None:
    assert answer(password, seed) == expected
    assert answer(password, seed.lower()) == expected


@pytest.mark.parametrize("password", ["", "SHORT", "NINECHARS", "pässword"])
def test_a_password_of_another_form_is_our_own_fault_and_not_repeated_in_the_error(password: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        answer(password, "0" * 16)
    assert not password or password not in str(caught.value)


@pytest.mark.parametrize("seed", ["", "0" * 15, "0" * 17, "G" * 16])
def test_a_seed_of_another_form_is_the_meters_fault(seed: str) -> None:
    with pytest.raises(RemoteProtocolError):
        answer("ABCDEFGH", seed)


# --- identities


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/GEC5090100140400@000", Model("A1700", "014", "04", 16, extended=False)),
        ("/GEC5090100100400@000", Model("A1700", "010", "04", 32, extended=False)),
        ("/GEC2090100260200@000", Model("A1700", "026", "02", 32, extended=True)),
        ("/GEC2090100030500@000", Model("A1700", "003", "05", 16, extended=False)),
        ("/GEC5090100120400@000", Model("A1700", "012", "04", 32, extended=False)),
        ("/GEC5090100200400@000", Model("A1700", "020", "04", 32, extended=True)),
        ("/GEC5090510010100@000", Model("A1140", "001", "01", 16, extended=False)),
        ("/GEC5012345678901@000", Model("", "567", "89", 16, extended=False)),
    ],
)
def test_the_identification_tells_the_model(line: str, expected: Model) -> None:
    assert model(parse_identification(line)) == expected


@pytest.mark.parametrize("line", ["/LGZ5\\2ZMD3104407.B24", "/GEC5", "/GEC5A90100140400@000"])
def test_a_meter_of_another_make_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(RemoteProtocolError):
        model(parse_identification(line))


def test_a_long_identity_is_read_in_packets_of_64() -> None:
    assert read_packets("507", 80) == [(Command("R1", "507001(40)"), 64), (Command("R1", "507002(10)"), 16)]
    assert read_packets("798", 16) == [(Command("R1", "798001(10)"), 16)]
    assert len(read_packets("510", 288)) == 5
    assert read_packet("550", 255) == Command("R1", "5500FF(40)")


def test_writes() -> None:
    assert write("551", bytes.fromhex("0700")) == Command("W1", "551001(0700)")
    assert write("605", bytes.fromhex("1A2A4A00")) == Command("W1", "605001(1A2A4A00)")


@pytest.mark.parametrize(
    ("identity", "packet", "octets"), [("50", 1, 1), ("507", 0, 1), ("507", 1, 65), ("507", 4096, 1)]
)
def test_packets_that_do_not_exist(identity: str, packet: int, octets: int) -> None:
    with pytest.raises(LocalProtocolError):
        read_packet(identity, packet, octets)


def test_an_answer_must_have_the_length_asked_for() -> None:
    assert parse_packet("(0a1B)", 2) == b"\x0a\x1b"
    for text in ("(0A)", "(0A1B2C)", "(0A1G)", "ERR5", ""):
        with pytest.raises(RemoteProtocolError):
            parse_packet(text, 2)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"K04M01234-------", "K04M01234"),
        (b"----K04M01234   ", "K04M01234"),
        (b"0123456789ABCDEF", "0123456789ABCDEF"),
        (b"K04-M0123\x00\x00\x00\x00\x00\x00\x00", "K04-M0123"),
    ],
)
def test_a_serial_number_is_whole_without_its_padding(data: bytes, expected: str) -> None:
    assert parse_text(data) == expected


def test_a_text_of_other_octets_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_text(b"\x01" * 16)


@pytest.mark.parametrize(
    ("mask", "sources", "daylight_saving"),
    [
        (0x0001, (1,), False),
        (0x0303, (1, 2, 8, 9), False),
        (0x033F, (1, 2, 3, 4, 5, 6, 8, 9), False),
        (0x1303, (1, 2, 8, 9, 12), False),
        (0x0083, (1, 2), True),
        (0x7FFF, tuple(range(1, 15)), True),
    ],
)
def test_channel_masks(mask: int, sources: tuple[int, ...], daylight_saving: bool) -> None:
    assert layouts.A1700.channels(mask) == sources
    assert layouts.A1700.daylight_saving(mask, 0x89) is daylight_saving


@pytest.mark.parametrize(
    ("tail", "sources", "daylight_saving"),
    [
        ("400109", (1, 8), False),
        ("c00389", (1, 2, 8, 9), True),
        ("00ff09", (1, 2, 3, 4, 5, 6, 7, layouts.VA_EXPORT), False),
        ("3f0009", (), False),
    ],
)
def test_channel_masks_of_an_a1140(tail: str, sources: tuple[int, ...], daylight_saving: bool) -> None:
    mask, period = int(tail[:4], 16), int(tail[4:], 16)
    assert layouts.A1140.channels(mask) == sources
    assert layouts.A1140.daylight_saving(mask, period) is daylight_saving


def test_source_codes_by_product() -> None:
    assert [layouts.A1700.source(code) for code in (0, 1, 8, 14, 15)] == [0, 1, 8, 14, 0]
    assert [layouts.A1140.source(code) for code in (0, 1, 8, 9, 15, 16, 17)] == [0, 1, layouts.VA_EXPORT, 0, 8, 9, 0]


def test_encodings_of_an_a1140() -> None:
    assert encodings.clock_seconds(payload("693")[2:6]) == datetime(2011, 3, 15, 8, 25, 55)
    assert encodings.seconds(datetime(2011, 3, 15, 8, 25, 55)) == payload("693")[2:6]
    assert encodings.binary_ratio(bytes.fromhex("0000753000 0001F4")) == (Decimal("300.00"), Decimal("5.00"))
    for refused in (encodings.clock_seconds, encodings.binary_ratio):
        with pytest.raises(RemoteProtocolError):
            refused(bytes(4))


def test_the_profile_size_counts_packets_of_64() -> None:
    assert ProfileSize.parse(bytes.fromhex("00150006")) == ProfileSize(21)


def test_status_bits_in_plain_words() -> None:
    assert status_words(bytes(4)) == []
    assert status_words(bytes.fromhex("04410004")) == [
        "Written to over the communication port",
        "Phase A failure",
        "Reverse running",
        "Power down",
    ]
    assert status_words(b"\x08") == ["Status bit 3"]


# --- encodings


def test_the_captured_registers_are_exact() -> None:
    data = payload("507")
    values = [encodings.kilo(encodings.bcd_reversed(data[start : start + 8])) for start in range(0, 64, 8)]
    assert values[:3] == [Decimal("3.514400"), Decimal("0.198800"), Decimal("1.086800")]
    assert str(values[0]) == "3.514400"


def test_the_captured_clock() -> None:
    assert encodings.clock(payload("861")) == datetime(2021, 10, 29, 22, 52, 46)
    assert encodings.clock(bytes.fromhex("00000001010099")) == datetime(1999, 1, 1)


@pytest.mark.parametrize("digits", ["46522269900", "FF522269900021", "46522200900021", "465222699000FF"])
def test_a_clock_that_shows_no_time(digits: str) -> None:
    with pytest.raises(RemoteProtocolError):
        encodings.clock(bytes.fromhex(digits.rjust(14, "0")))


@pytest.mark.parametrize(
    ("identity", "count", "seconds"),
    [
        ("693", 48, [1300177555, 1300177456, 1300177350]),
        ("694", 6, [1285775559, 1236953784, 1236951605]),
        ("695", 109, [1304607738, 1304590303, 1303816531]),
    ],
)
def test_captured_counters(identity: str, count: int, seconds: list[int]) -> None:
    data = payload(identity)
    assert encodings.little(data[:2]) == count
    assert [encodings.little(data[start : start + 4]) for start in (2, 6, 10)] == seconds


def test_a_stamp_is_the_meters_wall_clock() -> None:
    assert encodings.stamp(bytes.fromhex("93227F4D")) == datetime(2011, 3, 15, 8, 25, 55)
    assert encodings.stamp(bytes(4)) is None


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("00000002132363", "213.2363"),
        ("80000002132363", "-213.2363"),
        ("01000002132363", "2132.363"),
        ("04000000000050", "50"),
        ("00FFFFFFFFFFFF", None),
        ("FFFFFFFFFFFFFF", None),
        ("07000000000000", None),
        ("05000000000000", None),
    ],
)
def test_instantaneous_values(digits: str, expected: str | None) -> None:
    value = encodings.instantaneous(bytes.fromhex(digits))
    assert (None if value is None else f"{value:f}") == expected


@pytest.mark.parametrize(
    ("digits", "milli"), [("123453", 12345000), ("000050", 5), ("000000", 0), ("999999", 99999 * 10**9)]
)
def test_profile_demands(digits: str, milli: int) -> None:
    assert encodings.demand(bytes.fromhex(digits)) == milli


def test_a_demand_that_is_no_number() -> None:
    assert encodings.demand(b"\xff\xff\xff") is None


def test_maximum_demands() -> None:
    data = bytes.fromhex("93227F4D") + b"\x01" + bytes.fromhex("00451200000000")
    assert encodings.maximum_demand(data) == encodings.MaximumDemand(
        datetime(2011, 3, 15, 8, 25, 55), 1, Decimal("0.124500")
    )


def test_ratios() -> None:
    assert encodings.ratio(bytes.fromhex("000006000005")) == (Decimal("600.00"), Decimal("5.00"))
    assert encodings.ratio(bytes.fromhex("00001100001100")) == (Decimal("1100.00"), Decimal("11.00"))


@given(st.binary(max_size=16))
def test_octets_that_are_no_field_are_a_remote_error(data: bytes) -> None:
    for decode in (
        encodings.bcd_reversed,
        encodings.clock,
        encodings.instantaneous,
        encodings.maximum_demand,
        encodings.ratio,
    ):
        try:
            decode(data)
        except RemoteProtocolError:
            continue


@given(st.integers(0, 10**16 - 1))
def test_registers_come_out_digit_for_digit(milli: int) -> None:
    data = bytes.fromhex(f"{milli:016d}")[::-1]
    assert encodings.kilo(encodings.bcd_reversed(data)) * 10**6 == milli
