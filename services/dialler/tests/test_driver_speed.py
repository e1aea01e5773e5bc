"""The speed of a direct line follows the sign-on (iec62056-21.md, section 2)."""

from __future__ import annotations

import pytest

from mts_dialler.drivers.exchange import Exchange
from mts_dialler.line import Line
from mts_dialler.protocols.parity import CharacterCodec, CharacterFormat
from mts_dialler.testing import ManualClock, OwnScriptedChannel

OPERAND = b"\x01P0\x02(10067967)\x03"
READOUT = b"\x02C.1(10067967)\r\n!\r\n\x03"


def checked(message: bytes) -> bytes:
    check = 0
    for character in message[1:]:
        check ^= character
    return message + bytes([check])


def over(*answers: bytes) -> tuple[Exchange, OwnScriptedChannel]:
    codec = CharacterCodec(CharacterFormat.SEVEN_EVEN)
    channel = OwnScriptedChannel([codec.encode(answer) for answer in answers])
    return Exchange(Line(channel, None, ManualClock()), CharacterFormat.SEVEN_EVEN), channel


@pytest.mark.parametrize(("character", "baud"), [("0", 300), ("5", 9600), ("6", 19200)])
async def test_the_line_signs_on_at_its_first_speed_and_goes_to_the_one_offered(character: str, baud: int) -> None:
    exchange, channel = over(f"/MCS{character}V005\r\n".encode(), checked(OPERAND))
    await exchange.enter_programming("")
    assert channel.speeds == [None, baud]


async def test_a_meter_that_switches_by_itself_is_followed() -> None:
    exchange, channel = over(b"/MCSEV005\r\n", checked(READOUT))
    _, text = await exchange.read_out("")
    assert "10067967" in text
    assert channel.speeds == [None, 9600]


async def test_a_meter_that_sends_at_once_stays_where_it_is() -> None:
    exchange, channel = over(b"/MCS V005\r\n", checked(READOUT))
    await exchange.read_out("")
    assert channel.speeds == [None]


async def test_the_next_sign_on_is_at_the_first_speed_again() -> None:
    exchange, channel = over(b"/MCS5V005\r\n", checked(OPERAND), b"/MCS5V005\r\n", checked(OPERAND))
    await exchange.enter_programming("")
    await exchange.enter_programming("")
    assert channel.speeds == [None, 9600, None, 9600]


async def test_the_calls_own_format_goes_before_the_meter_types() -> None:
    exchange, channel = over()
    channel.character_format = CharacterFormat.EIGHT_NONE
    clear = Exchange(exchange.line, CharacterFormat.SEVEN_EVEN)
    channel.say(b"/MCS V005\r\n", checked(READOUT))
    await clear.read_out("")
    assert channel.sent == [b"/?!\r\n"]
