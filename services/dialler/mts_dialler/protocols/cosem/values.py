"""Attribute values (the `Data` type of IEC 62056-53, Annex A) in A-XDR (IEC 61334-6).

| meter's type                    | here              |
|---------------------------------|-------------------|
| null-data                       | None              |
| boolean                         | bool              |
| integers of any length          | int               |
| enum                            | Enumerated        |
| bcd                             | int               |
| float32, float64                | Decimal, shortest form that gives the same float |
| octet-string, and the date-time, date and time types | bytes |
| visible-string, utf8-string     | str               |
| bit-string                      | BitString         |
| array, compact-array            | list              |
| structure                       | tuple             |
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

MAX_DEPTH = 16
MAX_VALUES = 1_000_000


class Enumerated(int):
    """A value of the enum type."""


@dataclass(frozen=True, slots=True)
class BitString:
    """`bits` from the first to the last, as "0" and "1"."""

    bits: str


Value = None | bool | int | Decimal | bytes | str | BitString | Sequence["Value"]

_NULL, _ARRAY, _STRUCTURE, _BOOLEAN, _BIT_STRING = 0x00, 0x01, 0x02, 0x03, 0x04
_INT32, _UINT32, _OCTETS, _VISIBLE, _UTF8, _BCD = 0x05, 0x06, 0x09, 0x0A, 0x0C, 0x0D
_INT8, _INT16, _UINT8, _UINT16, _COMPACT = 0x0F, 0x10, 0x11, 0x12, 0x13
_INT64, _UINT64, _ENUM, _FLOAT32, _FLOAT64 = 0x14, 0x15, 0x16, 0x17, 0x18
_DATE_TIME, _DATE, _TIME = 0x19, 0x1A, 0x1B

_INTEGERS = {
    _INT8: (1, True),
    _INT16: (2, True),
    _INT32: (4, True),
    _INT64: (8, True),
    _UINT8: (1, False),
    _UINT16: (2, False),
    _UINT32: (4, False),
    _UINT64: (8, False),
}
_FIXED_OCTETS = {_DATE_TIME: 12, _DATE: 5, _TIME: 4}


class Reader:
    """Takes values off `data` in turn. Every method raises `RemoteProtocolError` for what is not there or not known."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = data
        self._values = 0
        self.at = start

    @property
    def left(self) -> int:
        return len(self._data) - self.at

    def octet(self) -> int:
        return self.take(1)[0]

    def peek(self) -> int:
        """The next octet, which stays."""
        octet = self.octet()
        self.at -= 1
        return octet

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise RemoteProtocolError("an answer ends in the middle of a value")
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def length(self) -> int:
        """A length: one octet up to 7F, else 80 + count and that many octets."""
        first = self.octet()
        if first < 0x80:
            return first
        if not 1 <= first - 0x80 <= 4:
            raise RemoteProtocolError(f"a length of {first - 0x80} octets")
        return self.number(first - 0x80)

    def value(self, depth: int = 0) -> Value:
        """The next value with its type."""
        return self._of_type(self.octet(), depth)

    def _of_type(self, tag: int, depth: int) -> Value:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise RemoteProtocolError("values nested too deep, or too many of them")
        if tag in _INTEGERS:
            size, signed = _INTEGERS[tag]
            return int.from_bytes(self.take(size), "big", signed=signed)
        if tag in {_ARRAY, _STRUCTURE}:
            items = [self.value(depth + 1) for _ in range(self._count())]
            return items if tag == _ARRAY else tuple(items)
        read = _READERS.get(tag)
        if read is None:
            raise RemoteProtocolError(f"a value of the unknown type {tag:02X}")
        return read(self)

    def _count(self) -> int:
        count = self.length()
        if count > self.left:  # an element takes one octet at least
            raise RemoteProtocolError(f"{count} elements announced, {self.left} octets left")
        return count

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8", "replace")

    def bit_string(self) -> BitString:
        count = self.length()
        octets = self.take((count + 7) // 8)
        return BitString("".join(f"{octet:08b}" for octet in octets)[:count])

    def compact_array(self) -> list[Value]:
        """Elements of one type, whose description comes first and once (IEC 62056-53, compact-array)."""
        description = self._description()
        contents = Reader(self.take(self.length()))
        contents._values = self._values
        items: list[Value] = []
        while contents.left:
            items.append(contents._described(description))
        return items

    def _description(self, depth: int = 0) -> tuple[int, tuple[object, ...]]:
        if depth > MAX_DEPTH:
            raise RemoteProtocolError("a type described too deep")
        tag = self.octet()
        if tag == _STRUCTURE:
            return tag, tuple(self._description(depth + 1) for _ in range(self._count()))
        if tag == _ARRAY:
            return tag, (self.number(2), self._description(depth + 1))
        return tag, ()

    def _described(self, description: tuple[int, tuple[object, ...]], depth: int = 0) -> Value:
        tag, parts = description
        before = self.at
        if tag == _STRUCTURE:
            value: Value = tuple(self._described(part, depth + 1) for part in parts)  # type: ignore[arg-type]
        elif tag == _ARRAY:
            count, element = parts
            value = [self._described(element, depth + 1) for _ in range(count)]  # type: ignore[arg-type,call-overload]
        else:
            value = self._of_type(tag, depth)
        if depth == 0 and self.at == before:
            raise RemoteProtocolError("a compact array whose elements take no octets")
        return value


def _float(reader: Reader, size: int) -> Decimal:
    layout = ">f" if size == 4 else ">d"
    octets = reader.take(size)
    (number,) = struct.unpack(layout, octets)
    if not math.isfinite(number):
        return Decimal(str(number))
    for digits in range(6 if size == 4 else 15, 18):
        text = f"{number:.{digits}g}"
        if struct.pack(layout, float(text)) == octets:
            return Decimal(text)
    raise AssertionError("17 digits always give a float back")


def _bcd(reader: Reader) -> int:
    octet = reader.octet()
    return (octet >> 4) * 10 + (octet & 0x0F)


_READERS: dict[int, Callable[[Reader], Value]] = {
    _NULL: lambda _: None,
    _BOOLEAN: lambda reader: reader.octet() != 0,
    _BIT_STRING: Reader.bit_string,
    _OCTETS: lambda reader: reader.take(reader.length()),
    _VISIBLE: Reader.text,
    _UTF8: Reader.text,
    _BCD: _bcd,
    _COMPACT: Reader.compact_array,
    _ENUM: lambda reader: Enumerated(reader.octet()),
    _FLOAT32: lambda reader: _float(reader, 4),
    _FLOAT64: lambda reader: _float(reader, 8),
    **{tag: lambda reader, size=size: reader.take(size) for tag, size in _FIXED_OCTETS.items()},  # type: ignore[misc]
}


def decode(data: bytes) -> Value:
    """The one value that `data` is. Raises `RemoteProtocolError`."""
    reader = Reader(data)
    value = reader.value()
    if reader.left:
        raise RemoteProtocolError(f"{reader.left} octets after a value")
    return value


def encode_length(count: int) -> bytes:
    """The shortest form of a length."""
    if count < 0x80:
        return bytes((count,))
    octets = (count.bit_length() + 7) // 8
    return bytes((0x80 + octets,)) + count.to_bytes(octets, "big")


# What a client sends: selectors and little else.


def null() -> bytes:
    return bytes((_NULL,))


def unsigned8(number: int) -> bytes:
    return _integer(_UINT8, number)


def unsigned16(number: int) -> bytes:
    return _integer(_UINT16, number)


def unsigned32(number: int) -> bytes:
    return _integer(_UINT32, number)


def signed8(number: int) -> bytes:
    return _integer(_INT8, number)


def _integer(tag: int, number: int) -> bytes:
    size, signed = _INTEGERS[tag]
    try:
        return bytes((tag,)) + number.to_bytes(size, "big", signed=signed)
    except OverflowError:
        raise LocalProtocolError(f"{number} does not fit type {tag:02X}") from None


def octet_string(data: bytes) -> bytes:
    return bytes((_OCTETS,)) + encode_length(len(data)) + data


def array(items: Sequence[bytes]) -> bytes:
    """Of encoded elements."""
    return bytes((_ARRAY,)) + encode_length(len(items)) + b"".join(items)


def structure(items: Sequence[bytes]) -> bytes:
    """Of encoded elements."""
    return bytes((_STRUCTURE,)) + encode_length(len(items)) + b"".join(items)
