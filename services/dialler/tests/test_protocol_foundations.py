"""Buffer, parity, echo and wall clock: what every protocol stands on."""

# ruff: noqa: DTZ001 - meters show wall clocks without a zone
from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_dialler.protocols.echo import EchoCanceller
from mts_dialler.protocols.errors import ProtocolError, RemoteProtocolError
from mts_dialler.protocols.parity import CharacterCodec, CharacterFormat
from mts_dialler.protocols.receive_buffer import ReceiveBuffer
from mts_dialler.protocols.wall_clock import (
    candidates,
    is_summer,
    nearest,
    not_before,
    standard_to_utc,
    summer_to_utc,
)

LONDON = ZoneInfo("Europe/London")
BERLIN = ZoneInfo("Europe/Berlin")
END = re.compile(rb"\n")


def test_the_base_error_refuses_direct_use() -> None:
    with pytest.raises(TypeError):
        ProtocolError("whose fault?")


def test_a_buffer_hands_out_only_what_is_complete() -> None:
    buffer = ReceiveBuffer(cap=10)
    buffer.append(b"ab")
    assert buffer.take(3) is None
    assert buffer.find(END, 0) is None
    buffer.append(b"\ncd")
    assert buffer.find(END, 0) == 2
    assert buffer.take(3) == b"ab\n"
    assert buffer.find(END, 0) is None
    assert len(buffer) == 2


def test_a_buffer_past_its_cap_is_emptied() -> None:
    buffer = ReceiveBuffer(cap=4)
    buffer.append(b"12345")
    with pytest.raises(RemoteProtocolError, match="longer than 4"):
        buffer.require_room()
    assert len(buffer) == 0


@pytest.mark.parametrize(
    ("character_format", "octets"),
    [
        (CharacterFormat.SEVEN_EVEN, "b1 41"),
        (CharacterFormat.SEVEN_ODD, "31 c1"),
        (CharacterFormat.SEVEN_MARK, "b1 c1"),
        (CharacterFormat.SEVEN_SPACE, "31 41"),
        (CharacterFormat.EIGHT_NONE, "31 41"),
    ],
)
def test_each_parity_is_made_taken_off_and_checked(character_format: CharacterFormat, octets: str) -> None:
    codec = CharacterCodec(character_format)
    assert codec.encode(b"1A") == bytes.fromhex(octets)
    assert codec.decode(bytes.fromhex(octets)) == b"1A"
    assert codec.parity_errors == 0
    codec.decode(bytes(octet ^ 0x80 for octet in bytes.fromhex(octets)))
    assert codec.parity_errors == (0 if character_format is CharacterFormat.EIGHT_NONE else 2)


def test_the_request_travels_with_even_parity_in_bit_7() -> None:
    codec = CharacterCodec(CharacterFormat.SEVEN_EVEN)
    assert codec.encode(b"/?!\r\n").hex() == "af3f218d0a"
    assert codec.decode(bytes.fromhex("af3f218d0a")) == b"/?!\r\n"
    assert codec.parity_errors == 0


def test_a_converter_that_strips_parity_is_understood_and_counted() -> None:
    codec = CharacterCodec(CharacterFormat.SEVEN_EVEN)
    assert codec.decode(b"/?!\r\n") == b"/?!\r\n"
    assert codec.parity_errors == 2


def test_a_captured_fragment_with_parity_bits_reads_as_text() -> None:
    codec = CharacterCodec(CharacterFormat.SEVEN_EVEN)
    assert codec.decode(bytes.fromhex("aaebf6e172e8a98d0a")) == b"*kvarh)\r\n"
    assert codec.parity_errors == 0


def test_eight_bits_without_parity_pass_unchanged() -> None:
    codec = CharacterCodec(CharacterFormat.EIGHT_NONE)
    assert codec.encode(b"/?!") == b"/?!"
    assert codec.decode(b"\xaf") == b"\xaf"


@given(st.binary(max_size=50))
def test_parity_put_on_comes_off(data: bytes) -> None:
    codec = CharacterCodec(CharacterFormat.SEVEN_EVEN)
    characters = bytes(octet & 0x7F for octet in data)
    assert codec.decode(codec.encode(data)) == characters
    assert codec.parity_errors == 0


def test_an_echo_is_found_out_and_taken_off() -> None:
    echo = EchoCanceller()
    echo.sent(b"/?!\r\n")
    assert echo.received(b"/?") == b""
    assert echo.received(b"!\r\n/LGZ5") == b"/LGZ5"
    echo.sent(b"\x06")
    assert echo.received(b"\x06\x02") == b"\x02"


def test_without_an_echo_nothing_is_lost_and_nothing_is_expected_later() -> None:
    echo = EchoCanceller()
    echo.sent(b"/?!\r\n")
    assert echo.received(b"/") == b""
    assert echo.received(b"LGZ5") == b"/LGZ5"
    echo.sent(b"\x15")
    assert echo.received(b"\x15") == b"\x15"


def test_a_repeated_hour_has_two_times() -> None:
    wall = datetime(2024, 10, 27, 1, 30)
    first, second = datetime(2024, 10, 27, 0, 30, tzinfo=UTC), datetime(2024, 10, 27, 1, 30, tzinfo=UTC)
    assert candidates(wall, LONDON) == (first, second)
    assert not_before(wall, LONDON, None) == first
    assert not_before(wall, LONDON, first + timedelta(minutes=1)) == second
    assert not_before(wall, LONDON, second + timedelta(days=1)) == second
    assert nearest(wall, LONDON, second + timedelta(minutes=20)) == second


def test_a_skipped_hour_is_read_on_the_clock_of_before() -> None:
    assert candidates(datetime(2024, 3, 31, 1, 30), LONDON) == (datetime(2024, 3, 31, 1, 30, tzinfo=UTC),)


@pytest.mark.parametrize(
    ("zone", "standard", "summer"),
    [
        ("Europe/London", 12, 11),
        ("Europe/Dublin", 12, 11),
        ("Europe/Berlin", 11, 10),
        ("UTC", 12, 11),
        ("Australia/Sydney", 2, 1),
    ],
)
def test_a_named_season_fixes_the_offset_all_year(zone: str, standard: int, summer: int) -> None:
    for month in (1, 7):
        noon = datetime(2024, month, 1, 12)
        assert standard_to_utc(noon, ZoneInfo(zone)) == datetime(2024, month, 1, standard, tzinfo=UTC)
        assert summer_to_utc(noon, ZoneInfo(zone)) == datetime(2024, month, 1, summer, tzinfo=UTC)


def test_summer_is_told_by_the_zone() -> None:
    assert is_summer(datetime(2024, 7, 1, tzinfo=UTC), BERLIN)
    assert not is_summer(datetime(2024, 1, 1, tzinfo=UTC), BERLIN)
    assert is_summer(datetime(2024, 1, 1, tzinfo=UTC), ZoneInfo("Australia/Sydney"))
    assert not is_summer(datetime(2024, 7, 1, tzinfo=UTC), ZoneInfo("UTC"))
