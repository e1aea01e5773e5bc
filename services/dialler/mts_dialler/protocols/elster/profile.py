"""The load profile's octets, identity 550, taken apart (elster-a1700.md, section 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from mts_dialler.protocols.elster.encodings import demand, little, stamp
from mts_dialler.protocols.elster.layouts import A1700, Layout
from mts_dialler.protocols.errors import RemoteProtocolError
from mts_dialler.protocols.receive_buffer import ReceiveBuffer

MINUTES = (1, 2, 3, 4, 5, 6, 10, 15, 20, 30, 60)
"""The low half of the period octet is an index into this; the high half is of unknown meaning."""

VALUE_OCTETS = 3
_MARKER_OCTETS = 5
_DAY_OCTETS = 8
_EXTERNAL_OVERHEAD = 4  # marker, two octets of length, closing marker
_MAX_ELEMENT = 0x10000
_END = 0xFF


class Marker(IntEnum):
    EXTERNAL = 0xE2
    DAY = 0xE4
    POWER_UP = 0xE5
    POWER_DOWN = 0xE6
    CONFIGURATION = 0xE8
    DEMAND_ENDED = 0xE9
    TIME_CHANGE = 0xEA
    CLEARED = 0xEB
    SEASON_CHANGE = 0xED


@dataclass(frozen=True, slots=True)
class DayStart:
    """A new day, or a new configuration: what the records after it mean. `wall`: the meter's own clock (naive)."""

    wall: datetime
    sources: tuple[int, ...]
    minutes: int
    daylight_saving: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened at `wall` (naive)."""

    marker: Marker
    wall: datetime


Values = tuple[int | None, ...]
"""One value per source in mW, mvar or mVA; None where the octets are no number."""


@dataclass(frozen=True, slots=True)
class Record:
    """The demand of one period."""

    status: int
    values: Values


@dataclass(frozen=True, slots=True)
class External:
    """Periods recorded without a status. The first continues the last period before this block."""

    periods: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The meter's memory holds no more."""


Element = DayStart | Happening | Record | External | End


class ProfileReader:
    """Octets in, in packets of any size; elements out.

    The layout has no check of its own: after an octet that is no known element nothing can be trusted, so that
    `next_element` raises `RemoteProtocolError` from then on.
    """

    def __init__(self, layout: Layout = A1700) -> None:
        self._layout = layout
        self._buffer = ReceiveBuffer(_MAX_ELEMENT)
        self._day: DayStart | None = None
        self._lost = ""
        self._ended = False

    @property
    def idle(self) -> bool:
        """No element is half received."""
        return not self._buffer

    def feed(self, data: bytes) -> None:
        if not self._ended:
            self._buffer.append(data)

    def next_element(self) -> Element | None:
        """The next element, None while it is incomplete; after `End` nothing but None."""
        if self._lost:
            raise RemoteProtocolError(self._lost)
        try:
            return self._take()
        except RemoteProtocolError as error:
            self._lost = str(error)
            self._buffer.clear()
            raise

    def _take(self) -> Element | None:
        if not self._buffer or self._ended:
            return None
        first = self._buffer[0]
        if first == _END:
            self._ended = True
            self._buffer.clear()
            return End()
        if first in {Marker.DAY, Marker.CONFIGURATION}:
            return self._take_day()
        if self._day is None:
            raise RemoteProtocolError("the load profile does not begin with a day")
        if first < 0x80:
            return self._take_record(self._day)
        if first not in list(Marker):
            raise RemoteProtocolError(f"unknown marker {first:02X} in the load profile")
        if first == Marker.EXTERNAL:
            return self._take_external(self._day)
        octets = self._buffer.take(_MARKER_OCTETS)
        return None if octets is None else Happening(Marker(first), _wall(octets[1:]))

    def _take_day(self) -> DayStart | None:
        octets = self._buffer.take(_DAY_OCTETS)
        if octets is None:
            return None
        mask, period = struct.unpack(">HB", octets[5:8])
        sources = self._layout.channels(mask)
        if not sources or period & 0x0F >= len(MINUTES):
            raise RemoteProtocolError(f"no channels or no period in a day of the load profile: {octets.hex()}")
        daylight_saving = self._layout.daylight_saving(mask, period)
        self._day = DayStart(_wall(octets[1:5]), sources, MINUTES[period & 0x0F], daylight_saving)
        return self._day

    def _take_record(self, day: DayStart) -> Record | None:
        octets = self._buffer.take(1 + VALUE_OCTETS * len(day.sources))
        return None if octets is None else Record(octets[0], _values(octets[1:]))

    def _take_external(self, day: DayStart) -> External | None:
        head = self._buffer.peek(3)
        if head is None:
            return None
        length = little(head[1:])
        width = VALUE_OCTETS * len(day.sources)
        if length < _EXTERNAL_OVERHEAD or (length - _EXTERNAL_OVERHEAD) % width:
            raise RemoteProtocolError(f"an external block of {length} octets does not fit {len(day.sources)} channels")
        octets = self._buffer.take(length)
        if octets is None:
            return None
        if octets[-1] != Marker.EXTERNAL:
            raise RemoteProtocolError("an external block without its end")
        content = octets[3:-1]
        return External(tuple(_values(content[start : start + width]) for start in range(0, len(content), width)))


def _wall(octets: bytes) -> datetime:
    wall = stamp(octets)
    if wall is None:
        raise RemoteProtocolError("a marker without a time in the load profile")
    return wall


def _values(octets: bytes) -> Values:
    return tuple(demand(octets[start : start + VALUE_OCTETS]) for start in range(0, len(octets), VALUE_OCTETS))
