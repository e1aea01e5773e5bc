"""From the wall clock of a meter to UTC, where a wall time may have happened twice, or never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_HOUR = timedelta(hours=1)


def candidates(wall: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The one or two times in UTC at which clocks of `zone` showed `wall` (naive), the earlier first.

    A wall time that a change of season skips is read on the clock of before the change.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return (first, second) if second > first else (first,)


def standard_to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """UTC of `wall` on a clock that shows the standard time of `zone` all year."""
    return (wall - _offsets(wall, zone)[0]).replace(tzinfo=UTC)


def summer_to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """UTC of `wall` on a clock that says that it shows summer time; one hour before standard if `zone` has none."""
    standard, summer = _offsets(wall, zone)
    return (wall - (summer if summer > standard else standard + _HOUR)).replace(tzinfo=UTC)


def is_summer(moment: datetime, zone: ZoneInfo) -> bool:
    """Do the clocks of `zone` show summer time at `moment` (aware)?"""
    local = moment.astimezone(zone)
    return local.utcoffset() != _offsets(local.replace(tzinfo=None), zone)[0]


def nearest(wall: datetime, zone: ZoneInfo, moment: datetime) -> datetime:
    """The UTC time of `wall` that lies nearest to `moment` (aware)."""
    return min(candidates(wall, zone), key=lambda candidate: abs(candidate - moment))


def not_before(wall: datetime, zone: ZoneInfo, moment: datetime | None) -> datetime:
    """The first UTC time of `wall` at or after `moment`; the last if all lie before, the first if no `moment`."""
    times = candidates(wall, zone)
    if moment is None:
        return times[0]
    return next((time for time in times if time >= moment), times[-1])


def _offsets(wall: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Standard and summer offset of `zone` in the year of `wall`: the smaller and the greater of the year's halves.

    `datetime.dst` is of no use here: some zones (Europe/Dublin) call the winter the exception.
    """
    halves = [datetime(wall.year, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in (1, 7)]
    return min(halves), max(halves)
