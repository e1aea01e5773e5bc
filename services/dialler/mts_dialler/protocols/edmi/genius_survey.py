"""The surveys and the event log of Genius meters, which are files of records (edmi.md, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from enum import IntEnum

from mts_dialler.protocols.edmi.commands import Records, content
from mts_dialler.protocols.edmi.values import Value, decode, decode_internal
from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

EXTENSIONS = 0x0002F001  # how many there are; their names and ids follow
EXTENSION_NAMES, EXTENSION_IDS = 0x00020000, 0x00021000
SURVEYS = (0x0305, 0x0325, 0x0345, 0x0365, 0x0385, 0x0395, 0x03A5, 0x03B5, 0x03C5, 0x03D5)  # LS01 to LS10
SURVEY_OBJECT = 0x0005  # in the low half of an extension's address

FILE, CHANNELS, INTERVAL, RECORD, START_TIME = 0xF008, 0xF012, 0xF014, 0xF018, 0xF020
REGISTER, WIDTH, TYPE, UNIT, NAME, OFFSET, FACTOR = 0xE000, 0xE100, 0xE200, 0xE300, 0xE400, 0xE500, 0xE800
MAX_ANSWER = 2048  # bytes of records asked for at once

_STATUS_OCTETS = 2
_EXACT = Context(prec=64)  # 64 bits and the digits of a float need fewer
_MISSING = 0x0002
_STATUS = {
    0x0001: "register read error",
    0x0004: "power failure",
    0x0008: "period cut short",
    0x0020: "calibration lost",
    0x0040: "measuring chip failure",
    0x0080: "alarm flag",
    0x0100: "checksum error",
}


def address(survey: int, register: int) -> int:
    """The register of a survey."""
    return survey << 16 | register


# --- the file commands


@dataclass(frozen=True, slots=True)
class FileInfo:
    """`start`: number of the oldest record kept; `count` records of `size` bytes are there."""

    start: int
    count: int
    size: int
    name: str


@dataclass(frozen=True, slots=True)
class AskFile:
    """F I: what a file holds."""

    file: int

    def encode(self) -> bytes:
        return b"FI" + _number(self.file, 4)

    def parse(self, payload: bytes) -> FileInfo:
        found = content(payload, self.encode())
        if len(found) < 11:
            raise RemoteProtocolError("an answer without the file's size")
        start, count, size = (int.from_bytes(found[at:end], "big") for at, end in ((0, 4), (4, 8), (8, 10)))
        return FileInfo(start, count, size, found[11:].partition(b"\x00")[0].decode("latin-1").strip())


class Found(IntEnum):
    """How a search ended."""

    EXACT = 0
    END_OF_FILE = 1
    CLOSEST = 2
    NO_TIMES = 3
    EMPTY = 4


@dataclass(frozen=True, slots=True)
class Place:
    """`wall`: the time that the meter gives record `record`."""

    record: int
    wall: datetime | None
    result: int


@dataclass(frozen=True, slots=True)
class Search:
    """F S: which record has that time, searched from record `start` to the later ones."""

    file: int
    start: int
    wall: datetime

    def encode(self) -> bytes:
        when = (
            self.wall.day,
            self.wall.month,
            self.wall.year - 2000,
            self.wall.hour,
            self.wall.minute,
            self.wall.second,
        )
        if not 2000 <= self.wall.year < 2096:
            raise LocalProtocolError(f"no such time: {self.wall}")
        return self._head() + _number(self.start, 4) + bytes(when) + b"\x01"

    def _head(self) -> bytes:
        return b"FS" + _number(self.file, 4)

    def parse(self, payload: bytes) -> Place:
        found = content(payload, self._head())
        if len(found) != 11:
            raise RemoteProtocolError("an answer without record, time and result")
        wall = decode("T", found[4:10])
        return Place(int.from_bytes(found[:4], "big"), wall if isinstance(wall, datetime) else None, found[10])


@dataclass(frozen=True, slots=True)
class ReadFile:
    """F R: whole records; what comes back may begin later and hold fewer."""

    file: int
    start: int
    count: int
    size: int

    def encode(self) -> bytes:
        if not 1 <= self.count < 1 << 16 or not 1 <= self.size < 1 << 16:
            raise LocalProtocolError(f"no such records: {self.count} of {self.size} bytes")
        return self._head() + _number(self.start, 4) + _number(self.count, 2) + bytes(2) + _number(self.size, 2)

    def _head(self) -> bytes:
        return b"FR" + _number(self.file, 4)

    def parse(self, payload: bytes) -> Records:
        found = content(payload, self._head())
        if len(found) < 10:
            raise RemoteProtocolError("an answer without start and count")
        if found[6:8] != bytes(2) or int.from_bytes(found[8:10], "big") != self.size:
            raise RemoteProtocolError("other parts of the records than were asked for")
        records = Records(int.from_bytes(found[:4], "big"), int.from_bytes(found[4:6], "big"), found[10:])
        records.judge(self.start, self.count, self.size)
        return records


def _number(number: int, octets: int) -> bytes:
    try:
        return number.to_bytes(octets, "big")
    except OverflowError:
        raise LocalProtocolError(f"{number} does not fit {octets} bytes") from None


# --- the records


@dataclass(frozen=True, slots=True)
class Field:
    """A channel of a survey: where its values stand in a record, and what they are. `factor` makes them base units."""

    register: int
    offset: int
    width: int
    type: str
    unit: str
    name: str
    factor: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Layout:
    """The records of one survey. The status word is channel 0, which has no description of its own."""

    fields: tuple[Field, ...]
    size: int

    def check(self) -> None:
        """Raises `RemoteProtocolError` unless each channel lies inside the record and none overlap."""
        end = 0
        for field in sorted(self.fields, key=lambda each: each.offset):
            if field.offset < end or field.offset + field.width > self.size:
                raise RemoteProtocolError("channels that do not fit their record")
            end = field.offset + field.width

    def status_at(self) -> int:
        """The first two bytes that belong to no channel. Raises `RemoteProtocolError` if there are none."""
        end = 0
        for field in sorted(self.fields, key=lambda each: each.offset):
            if field.offset - end >= _STATUS_OCTETS:
                return end
            end = field.offset + field.width
        if self.size - end >= _STATUS_OCTETS:
            return end
        raise RemoteProtocolError("a record without a status word")

    @property
    def most_records(self) -> int:
        """To be asked for at once."""
        return max(1, MAX_ANSWER // self.size)


def parse_record(layout: Layout, data: bytes) -> tuple[Value, ...]:
    """The values in order of the fields, numbers times their factor. Raises `RemoteProtocolError`."""
    return tuple(_scaled(field, decode_internal(field.type, _part(field, data))) for field in layout.fields)


def _part(field: Field, data: bytes) -> bytes:
    return data[field.offset : field.offset + field.width]


def _scaled(field: Field, value: Value) -> Value:
    return _EXACT.multiply(value, field.factor) if isinstance(value, Decimal) else value


def status_word(data: bytes, at: int) -> int:
    """The status of a record, which stands at `Layout.status_at`."""
    return int.from_bytes(data[at : at + _STATUS_OCTETS], "big")


def missing(status: int) -> bool:
    """Did the meter not record the period at all?"""
    return bool(status & _MISSING)


def status_words(status: int) -> tuple[str, ...]:
    """Why the reading is suspect."""
    return tuple(word for bit, word in _STATUS.items() if status & bit)


def split(records: Records, size: int) -> Sequence[bytes]:
    return [records.data[at : at + size] for at in range(0, len(records.data), size)]
