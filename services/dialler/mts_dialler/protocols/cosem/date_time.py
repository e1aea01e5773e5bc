"""COSEM date-time (IEC 62056-62, 4.1.6.1): twelve octets, any of which may say "not given"."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntFlag

from mts_dialler.protocols.errors import LocalProtocolError, RemoteProtocolError

OCTETS = 12
_YEAR_NOT_GIVEN = 0xFFFF
_NOT_GIVEN = 0xFF
_DEVIATION_NOT_GIVEN = -0x8000
_MAX_DEVIATION = 720


class ClockStatus(IntFlag):
    """The status octet; a clock that gives none has none of them set."""

    INVALID = 0x01
    DOUBTFUL = 0x02
    OTHER_BASE = 0x04
    INVALID_STATUS = 0x08
    SUMMER_TIME = 0x80


_NO_STATUS = ClockStatus(0)


@dataclass(frozen=True, slots=True)
class DateTime:
    """`wall` is what the clock showed (naive); `deviation` = UTC minus `wall` in minutes as sent, None if not given."""

    wall: datetime
    deviation: int | None = None
    status: ClockStatus = _NO_STATUS

    def utc(self, *, inverted: bool = False) -> datetime | None:
        """The moment in UTC by the clock's own deviation; None if it gives none.

        `inverted`: some meters send local minus UTC (dlms-cosem.md, section 4).
        """
        if self.deviation is None:
            return None
        minutes = -self.deviation if inverted else self.deviation
        return (self.wall + timedelta(minutes=minutes)).replace(tzinfo=UTC)

    def encode(self) -> bytes:
        """The twelve octets, weekday and hundredths not given. Raises `LocalProtocolError`."""
        deviation = _DEVIATION_NOT_GIVEN if self.deviation is None else self.deviation
        if not -0x8000 <= deviation < 0x8000:
            raise LocalProtocolError(f"a deviation of {deviation} minutes")
        wall = self.wall
        return (
            wall.year.to_bytes(2, "big")
            + bytes((wall.month, wall.day, _NOT_GIVEN, wall.hour, wall.minute, wall.second, _NOT_GIVEN))
            + deviation.to_bytes(2, "big", signed=True)
            + bytes((self.status,))
        )


def decode(octets: bytes) -> DateTime | None:
    """None where year, month or day is not given: such a stamp names no moment. Raises `RemoteProtocolError`."""
    if len(octets) != OCTETS:
        raise RemoteProtocolError(f"a date-time of {len(octets)} octets")
    year = int.from_bytes(octets[:2], "big")
    month, day, _, hour, minute, second, hundredths = octets[2:9]
    if year == _YEAR_NOT_GIVEN or _NOT_GIVEN in {month, day, hour}:
        return None
    parts = [0 if part == _NOT_GIVEN else part for part in (minute, second, hundredths)]
    try:
        wall = datetime(year, month, day, hour, parts[0], parts[1], parts[2] * 10_000)  # noqa: DTZ001
    except ValueError:
        raise RemoteProtocolError(f"a date-time that does not exist ({octets.hex()})") from None
    return DateTime(wall, _deviation(octets[9:11]), _status(octets[11]))


def _deviation(octets: bytes) -> int | None:
    deviation = int.from_bytes(octets, "big", signed=True)
    return deviation if -_MAX_DEVIATION <= deviation <= _MAX_DEVIATION else None


def _status(octet: int) -> ClockStatus:
    return _NO_STATUS if octet == _NOT_GIVEN else ClockStatus(octet & 0x8F)
