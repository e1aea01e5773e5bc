"""COSEM values as bytes (A-XDR): the tags of fact sheet dlms-cosem, section 4."""

from collections.abc import Iterable

NULL = b"\x00"
MAX_DEPTH = 8

Value = int | bytes | None | list["Value"]

_INTEGERS = {0x0F: (1, True), 0x10: (2, True), 0x05: (4, True), 0x14: (8, True)} | {
    0x11: (1, False),
    0x12: (2, False),
    0x06: (4, False),
    0x15: (8, False),
    0x03: (1, False),
    0x16: (1, False),
}


class Malformed(ValueError):
    """The bytes are no value, or no request, that this meter understands."""


def length(size: int) -> bytes:
    """A length: one octet below 128, else 81 n or 82 nn."""
    if size < 0x80:
        return bytes([size])
    octets_needed = 1 if size < 0x100 else 2
    return bytes([0x80 | octets_needed]) + size.to_bytes(octets_needed, "big")


def unsigned(value: int, size: int) -> bytes:
    """u8, u16, u32 or u64 by the number of octets."""
    return bytes([{1: 0x11, 2: 0x12, 4: 0x06, 8: 0x15}[size]]) + value.to_bytes(size, "big")


def signed(value: int, size: int) -> bytes:
    """i8, i16, i32 or i64 by the number of octets."""
    return bytes([{1: 0x0F, 2: 0x10, 4: 0x05, 8: 0x14}[size]]) + value.to_bytes(size, "big", signed=True)


def enumerated(value: int) -> bytes:
    return bytes([0x16, value])


def octets(value: bytes) -> bytes:
    return b"\x09" + length(len(value)) + value


def visible(text: str) -> bytes:
    return b"\x0a" + length(len(text)) + text.encode("ascii")


def array(items: Iterable[bytes]) -> bytes:
    held = list(items)
    return b"\x01" + length(len(held)) + b"".join(held)


def structure(*cells: bytes) -> bytes:
    return b"\x02" + length(len(cells)) + b"".join(cells)


class Parser:
    """Takes a request apart from the front; every method raises Malformed where the bytes do not suffice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> bytes:
        return self._data[self._at :]

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._data):
            raise Malformed("the request is too short")
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def length(self) -> int:
        first = self.number(1)
        return first if first < 0x80 else self.number(first & 0x7F)

    def sized(self) -> bytes:
        return self.take(self.length())

    def value(self, depth: int = 0) -> Value:
        """The next value: numbers, octets (of every kind of string and time), lists of arrays and structures."""
        tag = self.number(1)
        if tag in _INTEGERS:
            size, is_signed = _INTEGERS[tag]
            return int.from_bytes(self.take(size), "big", signed=is_signed)
        if tag == 0x00:
            return None
        if tag in (0x09, 0x0A, 0x0C):
            return self.sized()
        if tag == 0x19:
            return self.take(12)
        if tag in (0x01, 0x02) and depth < MAX_DEPTH:
            return [self.value(depth + 1) for _ in range(self.length())]
        raise Malformed(f"a value of type {tag:02X}")
