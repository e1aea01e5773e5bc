"""Between the clock of a DLMS meter and UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from mts_dialler.protocols.cosem.date_time import ClockStatus, DateTime
from mts_dialler.protocols.wall_clock import nearest, not_before, standard_to_utc, summer_to_utc

SURELY_WRONG, SURELY_RIGHT = timedelta(minutes=30), timedelta(minutes=5)


class MeterTime:
    """A stamp's own deviation counts; without one, that of the clock; without any, `zone`.

    The Blue Book's deviation is UTC minus local time. Some meters send the opposite (dlms-cosem.md, section 4).
    `inverted` says which, None = as the clock shows: opposite if by the book the clock would be more than 30 minutes
    wrong, and so not more than 5.
    """

    def __init__(self, zone: ZoneInfo, inverted: bool | None) -> None:
        self._zone = zone
        self._inverted = inverted
        self._offset: timedelta | None = None  # of local time to UTC, where it is not that of `zone`

    @property
    def inverted(self) -> bool:
        return bool(self._inverted)

    @property
    def leeway(self) -> timedelta:
        """How far `local` may miss, as the meter may change its clock by a season that `zone` does not know."""
        return timedelta() if self._offset is None else timedelta(hours=1)

    def set_by(self, clock: DateTime, arrived: datetime) -> datetime:
        """What `clock`, which came at `arrived`, shows in UTC; stamps are read likewise from now on."""
        if clock.deviation is None:
            return nearest(clock.wall, self._zone, arrived)
        if self._inverted is None:
            self._inverted = self._is_inverted(clock, arrived)
        offset = timedelta(minutes=clock.deviation if self.inverted else -clock.deviation)
        shown = (clock.wall - offset).replace(tzinfo=UTC)
        self._offset = None if arrived.astimezone(self._zone).utcoffset() == offset else offset
        return shown

    def _is_inverted(self, clock: DateTime, arrived: datetime) -> bool:
        by_book, opposite = clock.utc(), clock.utc(inverted=True)
        if by_book is None or opposite is None:
            return False
        return abs(by_book - arrived) > SURELY_WRONG and abs(opposite - arrived) <= SURELY_RIGHT

    def utc(self, stamp: DateTime, before: datetime | None = None, *, tells_season: bool = False) -> datetime:
        """The moment of `stamp`, which comes after `before`; `tells_season`: its status would show summer time."""
        own = stamp.utc(inverted=self.inverted)
        if own is not None:
            return own
        if self._offset is not None:
            return (stamp.wall - self._offset).replace(tzinfo=UTC)
        if ClockStatus.SUMMER_TIME in stamp.status:
            return summer_to_utc(stamp.wall, self._zone)
        if tells_season:
            return standard_to_utc(stamp.wall, self._zone)
        return not_before(stamp.wall, self._zone, before)

    def local(self, moment: datetime, *, deviation: bool) -> DateTime:
        """`moment` (aware) on the meter's clock, with its deviation or without."""
        offset = self._offset
        if offset is None:
            offset = moment.astimezone(self._zone).utcoffset() or timedelta()
        wall = (moment.astimezone(UTC) + offset).replace(tzinfo=None)
        if not deviation:
            return DateTime(wall)
        minutes = offset // timedelta(minutes=1)
        return DateTime(wall, minutes if self.inverted else -minutes)
