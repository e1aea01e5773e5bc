"""Register values by the letter of their type, in the external form of R and M and the internal form of Genius surveys.

Numbers become exact: an integer as it is, a float as the shortest decimal that is stored as the same float, so that
what the meter keeps as 230.1 reads 230.1 (edmi.md, section 3.1).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_UP, Context, Decimal

from mts_dialler.protocols.errors import RemoteProtocolError

Value = Decimal | str | bool | datetime | date | time | bytes | None

EPOCH = datetime(1996, 1, 1)  # noqa: DTZ001 - the meter's wall clock; this very second means that there is no value
_POWER_FACTOR_PLACES = Decimal("0.00001")

UNITS: dict[str, str] = {
    "A": "A",
    "B": "l/h",
    "D": "°",
    "G": "m³/h",
    "H": "Hz",
    "I": "J/h",
    "J": "J",
    "L": "l",
    "M": "min",
    "N": "",
    "O": "m³",
    "P": "%",
    "Q": "",
    "R": "var",
    "S": "VA",
    "T": "s",
    "U": "",
    "V": "V",
    "W": "W",
    "X": "Wh",
    "Y": "varh",
    "Z": "VAh",
}
"""Unit letters (section 3.2); none, unknown and power factor have no sign."""


def decode(letter: str, data: bytes) -> Value:
    """A value in its external form; None where the meter has none. Raises `RemoteProtocolError`."""
    return _decode(_EXTERNAL, letter, data)


def decode_internal(letter: str, data: bytes) -> Value:
    """A value in its internal form, before its scale factor. Raises `RemoteProtocolError`."""
    return _decode(_INTERNAL, letter, data)


def measured(letter: str, data: bytes) -> int:
    """How many of the first bytes of `data` are a value of that type. Raises `RemoteProtocolError`."""
    if letter in _LENGTHS:
        length = _LENGTHS[letter]
    elif letter in _TEXTS:
        length = data.find(b"\x00") + 1 or len(data) + 1
    else:
        raise RemoteProtocolError(f"values of type {letter} do not tell their length")
    if length > len(data):
        raise RemoteProtocolError(f"a value of type {letter} is cut short")
    return length


def seconds_since_1996(seconds: int) -> datetime | None:
    """On the meter's wall clock; None for 0, which means that there is no value."""
    return EPOCH + timedelta(seconds=seconds) if seconds else None


def shortest(data: bytes) -> Decimal | None:
    """The shortest decimal that is stored as these 4 or 8 bytes; None for infinity and what is no number."""
    (value,) = struct.unpack(">f" if len(data) == 4 else ">d", data)
    if not math.isfinite(value):
        return None
    number = _shortest_single(value) if len(data) == 4 else Decimal(repr(value))
    return Decimal(f"{number:f}") if number else Decimal(0)


def _shortest_single(value: float) -> Decimal:
    """Nine digits tell all single floats apart. The nearest of so many digits may fail where a neighbour does not."""
    exact, wanted = Decimal(value), struct.pack(">f", value)
    for digits in range(1, 9):
        for rounding in (ROUND_HALF_EVEN, ROUND_UP, ROUND_DOWN):
            number = Context(prec=digits, rounding=rounding).plus(exact)
            if _stored(number) == wanted:
                return number
    return Context(prec=9).plus(exact)


def _stored(number: Decimal) -> bytes | None:
    try:
        return struct.pack(">f", float(number))
    except OverflowError:
        return None


Decoder = Callable[[bytes], Value]


def _decode(decoders: dict[str, Decoder], letter: str, data: bytes) -> Value:
    decoder = decoders.get(letter)
    if decoder is None:
        raise RemoteProtocolError(f"values of type {letter} cannot be read")
    try:
        return decoder(data)
    except (struct.error, ValueError, OverflowError):
        raise RemoteProtocolError(f"{data.hex() or 'nothing'} is no value of type {letter}") from None


def _unsigned(octets: int) -> Decoder:
    return lambda data: Decimal(int.from_bytes(_sized(data, octets), "big"))


def _signed(octets: int) -> Decoder:
    return lambda data: Decimal(int.from_bytes(_sized(data, octets), "big", signed=True))


def _floating(octets: int) -> Decoder:
    return lambda data: shortest(_sized(data, octets))


def _sized(data: bytes, octets: int) -> bytes:
    if len(data) != octets:
        raise ValueError(f"{octets} bytes are needed")
    return data


def _text(data: bytes) -> str:
    return data.partition(b"\x00")[0].decode("latin-1").strip()


def _numeric_text(data: bytes) -> str:
    text = _text(data)
    if text and not text.isdecimal():
        raise ValueError("not a number")
    return text


def _flag(data: bytes) -> bool:
    return _sized(data, 1) != b"\x00"


def _raw(data: bytes) -> bytes:
    return data


def _time(data: bytes) -> time:
    return time(*_sized(data, 3))


def _date(data: bytes) -> date | None:
    """DD MM YY, binary; all zeros and the first of January 1996 are none."""
    day, month, year = _sized(data, 3)
    if not any(data):
        return None
    found = date(_year(year), month, day)
    return None if found == EPOCH.date() else found


def _date_time(data: bytes) -> datetime | None:
    """DD MM YY HH MM SS, binary."""
    day, month, year, hour, minute, second = _sized(data, 6)
    if not any(data):
        return None
    found = datetime(_year(year), month, day, hour, minute, second)  # noqa: DTZ001 - the meter's wall clock
    return None if found == EPOCH else found


def _year(short: int) -> int:
    """96 to 99 are of the last century: 1996 is where the meter's own count begins."""
    if short > 99:
        raise ValueError("no year")
    return short + (1900 if short >= 96 else 2000)


def _internal_time(data: bytes) -> time:
    return (EPOCH + timedelta(seconds=_below(int.from_bytes(_sized(data, 4), "big"), 86400))).time()


def _below(number: int, limit: int) -> int:
    if number >= limit:
        raise ValueError("out of range")
    return number


def _internal_date_time(data: bytes) -> datetime | None:
    return seconds_since_1996(int.from_bytes(_sized(data, 4), "big"))


def _internal_power_factor(data: bytes) -> Decimal:
    """In 32767ths; has no last decimal, so it is rounded to the fifth, of which it has fewer."""
    return (Decimal(int.from_bytes(_sized(data, 2), "big", signed=True)) / 32767).quantize(_POWER_FACTOR_PLACES)


_LENGTHS = {
    "B": 1, "C": 1, "D": 8, "F": 4, "H": 2, "I": 2, "L": 4, "O": 4, "P": 4, "Q": 3, "R": 3, "T": 6, "U": 8, "V": 8,
    "X": 4, "Z": 4,
}  # fmt: skip
_TEXTS = "AEG"

_EXTERNAL: dict[str, Decoder] = {
    "A": _text,
    "B": _flag,
    "C": _unsigned(1),
    "D": _floating(8),
    "E": _text,
    "F": _floating(4),
    "G": _numeric_text,
    "H": _unsigned(2),
    "I": _signed(2),
    "J": _raw,
    "L": _signed(4),
    "O": _floating(4),
    "P": _floating(4),
    "Q": _time,
    "R": _date,
    "S": _raw,
    "T": _date_time,
    "U": _floating(8),
    "V": _signed(8),
    "W": _raw,
    "X": _unsigned(4),
    "Z": _unsigned(4),
}
"""N (invalid) has no value. What S, W and J hold is not known: they stay bytes."""

_INTERNAL: dict[str, Decoder] = _EXTERNAL | {
    "E": _unsigned(2),
    "G": _signed(4),
    "O": _unsigned(4),
    "P": _internal_power_factor,
    "Q": _internal_time,
    "T": _internal_date_time,
    "U": _signed(8),
}
