"""Profile generic, class 7 (IEC 62056-62, 4.3.6): what its columns are, how a part is asked for, what its rows hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mts_dialler.protocols.cosem import date_time, values
from mts_dialler.protocols.cosem.date_time import DateTime
from mts_dialler.protocols.cosem.values import Value
from mts_dialler.protocols.errors import RemoteProtocolError

CLASS_ID = 7
BUFFER, CAPTURE_OBJECTS, CAPTURE_PERIOD, SORT_METHOD, ENTRIES_IN_USE = 2, 3, 4, 5, 7
LIFO = {2, 4}  # sort methods that put the newest row first: last in first out, largest first
_CLOCK_CLASS, _CLOCK_TIME = 8, 2


@dataclass(frozen=True, slots=True)
class CaptureObject:
    """A column: an attribute of an object, or of a structure there its element `index` from 1 on."""

    class_id: int
    obis: bytes
    attribute: int
    index: int = 0

    @property
    def is_clock(self) -> bool:
        return self.class_id == _CLOCK_CLASS and self.attribute == _CLOCK_TIME

    def encode(self) -> bytes:
        """As a selection names it."""
        return values.structure(
            (
                values.unsigned16(self.class_id),
                values.octet_string(self.obis),
                values.signed8(self.attribute),
                values.unsigned16(self.index),
            )
        )


@dataclass(frozen=True, slots=True)
class Row:
    """`stamp` is worked out where the meter left it out: one period on from the row before."""

    stamp: DateTime
    cells: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that does not fit the columns; `stamp` where it shows one."""

    why: str
    stamp: DateTime | None = None


def capture_objects(value: Value) -> tuple[CaptureObject, ...]:
    """From attribute 3. Raises `RemoteProtocolError`."""
    if not isinstance(value, list):
        raise RemoteProtocolError("the capture objects of a profile are no array")
    return tuple(_capture_object(item) for item in value)


def _capture_object(item: Value) -> CaptureObject:
    match item:
        case (int(class_id), bytes(obis), int(attribute), int(index)) if len(obis) == 6 and isinstance(item, tuple):
            return CaptureObject(class_id, obis, attribute, index)
        case _:
            raise RemoteProtocolError("a capture object of another form")


def by_range(clock: CaptureObject, start: DateTime, end: DateTime, columns: Sequence[CaptureObject] = ()) -> bytes:
    """Selector 1: the rows whose `clock` is from `start` to `end`, both included; no `columns` = all of them."""
    return b"\x01" + values.structure(
        (
            clock.encode(),
            values.octet_string(start.encode()),
            values.octet_string(end.encode()),
            values.array([column.encode() for column in columns]),
        )
    )


def by_entry(first: int, last: int) -> bytes:
    """Selector 2: rows `first` to `last`, counted from 1, with all columns."""
    return b"\x02" + values.structure(
        (values.unsigned32(first), values.unsigned32(last), values.unsigned16(1), values.unsigned16(0))
    )


def rows(
    buffer: Value, columns: Sequence[CaptureObject], period: timedelta, *, newest_first: bool
) -> list[Row | BadRow]:
    """The rows of one answer in the meter's order, with what it left out as unchanged put in.

    null-data is the value of the row before, but for the clock that of one period on (IEC 62056-62, 4.3.6, buffer).
    Raises `RemoteProtocolError` for what is no buffer.
    """
    if not isinstance(buffer, list):
        raise RemoteProtocolError("the buffer of a profile is no array")
    clock = next((place for place, column in enumerate(columns) if column.is_clock), None)
    if clock is None:
        raise RemoteProtocolError("a profile without a clock")
    return list(_expand(buffer, len(columns), clock, -period if newest_first else period))


def _expand(buffer: Sequence[Value], width: int, clock: int, step: timedelta) -> Iterator[Row | BadRow]:
    before: Row | None = None
    for item in buffer:
        if not isinstance(item, tuple) or len(item) != width:
            shown = len(item) if isinstance(item, tuple) else "no"
            yield BadRow(f"a row of {shown} values in place of {width}", _stamp_of(item, clock))
            before = None  # what follows is relative to a row that is not understood
            continue
        row = _row(item, clock, step, before)
        before = row if isinstance(row, Row) else None
        yield row


def _row(item: tuple[Value, ...], clock: int, step: timedelta, before: Row | None) -> Row | BadRow:
    if item[clock] is None:
        if before is None:
            return BadRow("a row without a time after none that has one")
        stamp = DateTime(before.stamp.wall + step, before.stamp.deviation, before.stamp.status)
    else:
        given = _stamp_of(item, clock)
        if given is None:
            return BadRow("a row whose time is not given")
        stamp = given
    old = before.cells if before else (None,) * len(item)
    cells = tuple(was if cell is None else cell for cell, was in zip(item, old, strict=True))
    return Row(stamp, cells)


def _stamp_of(item: Value, clock: int) -> DateTime | None:
    if not isinstance(item, tuple) or len(item) <= clock:
        return None
    octets = item[clock]
    if not isinstance(octets, bytes) or len(octets) != date_time.OCTETS:
        return None
    try:
        return date_time.decode(octets)
    except RemoteProtocolError:
        return None
